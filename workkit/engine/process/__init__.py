"""A pool's view of its process: identity, times and random numbers, signals, wake-ups, outages."""
