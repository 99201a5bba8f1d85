"""Checkpoint formats: ours and those of other libraries."""
