"""Chance levels of unrelated dictionaries: closed forms and null models."""
