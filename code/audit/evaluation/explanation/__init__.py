"""Explanations of latents and their detection scores."""
