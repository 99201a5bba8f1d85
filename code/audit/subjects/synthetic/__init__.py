"""Synthetic samples with known ground truth."""
