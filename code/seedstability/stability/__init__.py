"""Tensors compared: similarities, chance levels, statistics. Knows no autoencoder."""
