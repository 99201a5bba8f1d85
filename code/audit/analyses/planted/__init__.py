"""Dictionaries of a planted truth compared with it."""
