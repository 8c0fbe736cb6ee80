"""Programs around the library: the command line, the demo, the supervisor."""
