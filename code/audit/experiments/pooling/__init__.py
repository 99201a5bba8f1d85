"""Section "Pooling": one dictionary from several seeds, at equal budget (C35)."""
