"""Section "Chance": what dictionaries that share nothing look like to each statistic."""
