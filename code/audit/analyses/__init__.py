"""Stages that compare dictionaries beyond what the library's report does."""
