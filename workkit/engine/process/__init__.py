"""A pool's view of its process: identity, signals, wake-ups, outages."""
