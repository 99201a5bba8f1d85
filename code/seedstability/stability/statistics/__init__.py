"""Intervals, tests and distributions with few seeds."""
