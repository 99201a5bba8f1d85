"""Section "Can unshared latents be explained?": detection scores of learned rules (C46, C49)."""
