"""Section "Matching exactly": the assignment without its matrix, proven (claim C47)."""
