"""Latents of the public model: shared, unstable, explained, and what raises their stability."""
