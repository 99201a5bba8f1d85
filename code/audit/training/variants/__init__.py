"""Training variants."""
