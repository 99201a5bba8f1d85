"""Stages that compare dictionaries in ways beyond the library's report."""
