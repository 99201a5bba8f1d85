"""Section "What raises stability": one table, one protocol, one arm an intervention."""
