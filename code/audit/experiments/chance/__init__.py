"""Section "Chance": each similarity between unrelated dictionaries."""
