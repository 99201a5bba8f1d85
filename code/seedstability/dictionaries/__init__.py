"""Sparse autoencoders: what they are, how they are trained, read and written."""
