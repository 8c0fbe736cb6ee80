"""What the engine runs on in a simulated world: time, hosts, connections, loops and threads."""
