"""Checkpoints of other libraries, and our own, read and written: `folder` is the way in."""
