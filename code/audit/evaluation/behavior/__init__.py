"""When latents of two seeds fire, and what removing them does."""
