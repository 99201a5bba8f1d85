"""Section "Can unshared latents be explained?": scores without a language model (C46, C49)."""
