"""Figures of the sections on language models."""
