"""Solvers of the assignment problem side by side."""
