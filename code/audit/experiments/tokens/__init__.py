"""Section "Layers, sizes and tokens": the third report's grid on our model (claims C20 to C26)."""
