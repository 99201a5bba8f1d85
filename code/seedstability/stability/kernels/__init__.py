"""Compiled loops of the matching."""
