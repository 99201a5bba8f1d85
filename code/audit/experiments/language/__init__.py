"""What the sections on language models share: the model, its activations, the centre of the grid."""
