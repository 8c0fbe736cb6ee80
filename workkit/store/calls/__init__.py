"""Typed exchanges: one module for each family of scripts or commands."""
