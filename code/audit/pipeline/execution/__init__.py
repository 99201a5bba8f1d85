"""Stages run, several at once, and what a run would cost."""
