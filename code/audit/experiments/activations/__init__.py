"""Section "What latents do": activations and ablations held against decoder cosine (claim C27)."""
