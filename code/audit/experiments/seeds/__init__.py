"""Section "Many seeds": recurrence over twenty seeds (C27), and its prediction from three."""
