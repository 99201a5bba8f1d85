"""Evaluation of single dictionaries: reconstruction, firing, and effects in their model."""
