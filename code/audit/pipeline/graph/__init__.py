"""Stages, what each needs, and the keys that say when one is stale."""
