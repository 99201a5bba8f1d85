"""What fixes the bits of a result, and what describes the machine that computed it."""
