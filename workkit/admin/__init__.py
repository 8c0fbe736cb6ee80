"""Reads a namespace and acts on it."""
