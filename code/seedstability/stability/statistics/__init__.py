"""Statistics for few seeds: intervals, tests, power, distributions. Runs without torch."""
