"""Transformers that add modulo p."""
