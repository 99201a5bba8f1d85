"""Section "Code and prose": stability within and across training corpora (C27)."""
