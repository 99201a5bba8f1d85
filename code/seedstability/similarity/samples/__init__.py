"""Activations that dictionaries are measured on: read, checked, reduced to moments, encoded."""
