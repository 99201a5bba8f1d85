"""Latents that do not recur in other seeds: their best cosines, clusters and spans."""
