"""Architectures of sparse autoencoders: one file each, registered by name."""
