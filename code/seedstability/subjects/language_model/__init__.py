"""Language models as subjects: GPT-2, Pythia, any local checkpoint, and the one trained here."""
