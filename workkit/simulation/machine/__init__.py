"""The parts of a simulated world below the engine: time, hosts, connections, loops, threads."""
