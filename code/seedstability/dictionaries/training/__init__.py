"""Training of many seeds over the same batches."""
