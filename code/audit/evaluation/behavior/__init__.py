"""Latents of two seeds compared by their activations and by the effects of ablating them."""
