"""Section "Modular addition": TopK and ReLU on a transformer that adds (claims C10 to C17)."""
