"""One folder per section of the paper: settings and stages, measurements."""
