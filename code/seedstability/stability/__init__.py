"""Similarity of directions: matching, chance levels, statistics, subspaces. Tensors only."""
