"""Section "Unstable latents": two camps, what they carry, and what they span (claims C30 to C33)."""
