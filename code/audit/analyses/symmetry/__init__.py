"""Comparison of dictionaries up to the symmetries of modular addition."""
