"""Section "Pooling": one dictionary from several seeds', at the honest budget (claim C35)."""
