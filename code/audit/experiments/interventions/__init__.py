"""Section "What raises stability": one table, one protocol, one row an intervention."""
