"""Stable and unstable latents: their contribution to reconstruction, and what they respond to."""
