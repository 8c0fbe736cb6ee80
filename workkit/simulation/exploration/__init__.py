"""Plays scenarios with many seeds, and reduces what fails to as few faults as it takes."""
