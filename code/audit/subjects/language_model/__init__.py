"""Language models: the small one of this repository, and public ones."""
