"""Loops that torch has no operation for, compiled by numba."""
