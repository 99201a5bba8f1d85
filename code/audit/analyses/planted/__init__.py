"""Dictionaries of a planted truth held against it."""
