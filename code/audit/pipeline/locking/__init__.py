"""Locked values: read, compared with computed ones, written."""
