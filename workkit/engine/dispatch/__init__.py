"""Claiming jobs and settling them: the logic of the dispatcher."""
