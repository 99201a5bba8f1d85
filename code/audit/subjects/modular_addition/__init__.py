"""Transformers trained on addition modulo p."""
