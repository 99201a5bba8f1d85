"""Which latent of one dictionary is which of another."""
