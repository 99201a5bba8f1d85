"""Figures of the sections on single latents and planted truth."""
