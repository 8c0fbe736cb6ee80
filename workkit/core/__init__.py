"""Jobs, records, options, text, clocks and random numbers. Nothing here uses Redis."""
