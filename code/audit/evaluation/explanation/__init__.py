"""Explanations of latents and their scores."""
