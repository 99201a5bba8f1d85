"""Stages, their keys, their results and their runs; knows no experiment."""
