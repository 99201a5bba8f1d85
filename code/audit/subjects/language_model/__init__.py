"""Language models: the small one trained in this repository, and public ones."""
