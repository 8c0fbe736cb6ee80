"""Plays scenarios with many seeds, and reduces a failure to as few faults as possible."""
