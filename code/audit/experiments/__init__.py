"""One folder a section of the paper: settings and stages, measurements."""
