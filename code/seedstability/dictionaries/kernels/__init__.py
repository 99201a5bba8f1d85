"""Compiled loops of training and encoding."""
