"""Sparse autoencoders: architectures, training and checkpoint formats."""
