"""Dictionaries compared up to the symmetries of modular addition."""
