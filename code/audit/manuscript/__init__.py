"""Rendering of the manuscript from locked values."""
