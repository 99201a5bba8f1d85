"""Compiled loops of matching."""
