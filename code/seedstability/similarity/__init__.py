"""Dictionaries of several seeds measured: pairs, chance levels, cost."""
