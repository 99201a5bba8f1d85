"""Subjects: the models and the synthetic samples that activations come from."""
