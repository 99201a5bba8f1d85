"""Section "Planted truth" (claim C34, and the synthetic set-up of Song et al.)."""
