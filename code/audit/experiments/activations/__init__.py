"""Section "What latents do": activations and ablations over decoder cosine (C27)."""
