"""Figures of the report, and the style of all figures."""
