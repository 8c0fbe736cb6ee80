"""Typed round trips: one module for each family of scripts or commands."""
