"""Numeric pinning, and the numeric ABI of the machine."""
