"""Dictionaries trained as stages: settings and activations in, arrays out."""
