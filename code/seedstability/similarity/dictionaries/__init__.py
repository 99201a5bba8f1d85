"""The dictionaries of a comparison: read, checked, and named."""
