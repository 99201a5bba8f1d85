"""The third report's grid: models by layers by sizes by seeds, for the profile `full`."""
