"""Comparison of solvers of the assignment problem."""
