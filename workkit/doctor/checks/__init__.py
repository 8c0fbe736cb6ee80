"""The checks: pure functions from two looks to cases."""
