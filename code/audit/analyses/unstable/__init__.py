"""Latents that do not recur: their camps, clusters and spans."""
