"""Connections to Redis, and the code that carries exchanges over them."""
