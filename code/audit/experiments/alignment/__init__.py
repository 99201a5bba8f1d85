"""Section "Same data, different features": shared latents over sizes (C40–C45, C48, C49)."""
