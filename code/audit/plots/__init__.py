"""Figures of the paper: plain data in, figure out."""
