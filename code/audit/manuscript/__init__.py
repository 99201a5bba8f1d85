"""The manuscript rendered from locked values."""
