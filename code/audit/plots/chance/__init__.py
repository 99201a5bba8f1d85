"""Figures of the sections on chance and matching."""
