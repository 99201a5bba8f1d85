"""What one dictionary does on its samples and in its model."""
