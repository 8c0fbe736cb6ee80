"""Connections to Redis, and the code that carries round trips over them."""
