"""Matching of latents between dictionaries: nearest, one-to-one and transport."""
