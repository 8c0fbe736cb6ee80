"""Reading a namespace, and acting on it."""
