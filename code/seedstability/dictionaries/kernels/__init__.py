"""Compiled kernels of training and encoding."""
