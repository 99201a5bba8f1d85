"""What a latent fires on, said in a few words, and how well those words foretell it."""
