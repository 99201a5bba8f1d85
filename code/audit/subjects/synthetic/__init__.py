"""Samples of which the truth is known."""
