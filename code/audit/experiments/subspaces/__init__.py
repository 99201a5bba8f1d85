"""Section "Unstable latents": two camps, their contributions and their spans (C30 to C33)."""
