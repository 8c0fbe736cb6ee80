"""Connections to Redis, and what carries exchanges over them."""
