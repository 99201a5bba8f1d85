"""Contestants of the training benchmark. Each module has a class `Contestant`.

    Contestant(x, shape, seed)   an SAE before its first step
    .train(batches)              train on all batches
    .reconstruct(x)              reconstruct samples

Steps are timed by the iteration over batches, also inside a library's own loop. All train TopK in
float32 with Adam at the same constant learning rate and without auxiliary loss. Features of a
library that ours lacks are switched off if possible; further features of ours stay on.
"""

LEARNING_RATE = 3e-4

OURS = ("ours", "ours_screened")
PEERS = ("peer_dictionary_learning", "peer_sae_lens", "peer_sae_lens_sparse", "peer_sparsify")
NAMES = (*OURS, "plain", *PEERS)
