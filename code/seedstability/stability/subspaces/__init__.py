"""Subspaces of data and latents: principal components, spans, clusters, overlaps."""
