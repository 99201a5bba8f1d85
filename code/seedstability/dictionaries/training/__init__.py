"""Training of several seeds in one pass over the batches."""
