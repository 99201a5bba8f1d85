"""Section "Planted truth": recurrence of known features (C34), and Song et al.'s synthetic data."""
