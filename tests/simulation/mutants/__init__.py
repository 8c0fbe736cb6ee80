"""Small breakages of the engine, and whether the simulator finds them."""
