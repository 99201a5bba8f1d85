"""Section "Matching exactly": a certified assignment without the cosine matrix (C47)."""
