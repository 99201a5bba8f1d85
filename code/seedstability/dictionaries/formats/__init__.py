"""Checkpoints of other libraries, and our own."""
