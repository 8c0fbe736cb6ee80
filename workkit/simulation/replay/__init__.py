"""Plays recorded history again: the jobs that ran, on another fleet."""
