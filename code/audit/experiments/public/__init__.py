"""A second subject: what the sections on language models measure, on a public model."""
