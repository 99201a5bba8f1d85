"""Spans of latents and of data, and how far two of them agree."""
