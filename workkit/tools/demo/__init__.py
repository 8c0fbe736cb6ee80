"""`workkit demo`: the engine processes the source tree of the running Python installation."""
