"""Base configuration of the sections on language models: model, activations, dictionaries."""
