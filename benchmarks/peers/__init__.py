"""workkit compared with other libraries: `python -m benchmarks.peers`."""
