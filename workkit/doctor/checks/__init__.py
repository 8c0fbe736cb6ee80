"""The checks: pure functions from two examinations to cases."""
