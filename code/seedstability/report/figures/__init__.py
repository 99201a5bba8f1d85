"""Figures of the report, and the style that every figure shares."""
