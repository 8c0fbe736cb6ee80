"""The computations of the console, without a terminal."""
