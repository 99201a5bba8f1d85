"""Results on disk, under portable key and numeric ABI."""
