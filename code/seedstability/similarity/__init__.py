"""Similarity of dictionaries of several seeds: inputs, pairs, chance levels, cost."""
