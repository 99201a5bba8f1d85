"""What stable and unstable latents carry and respond to."""
