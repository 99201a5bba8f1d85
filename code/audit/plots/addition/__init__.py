"""Figures of the sections on modular addition."""
