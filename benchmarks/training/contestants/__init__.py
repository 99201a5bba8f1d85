"""Whom the race knows. Each module has a class `Contestant`.

    Contestant(x, shape, seed)   a fresh dictionary, before its first step
    .train(batches)              trains on them one by one until there are no more
    .reconstruct(x)              what the dictionary makes of samples

The batches say when a step begins and ends, so a library that owns its loop is timed in that loop.
All train TopK on float32 with Adam at one constant rate and no auxiliary loss. What a library
does by default and ours does not is switched off where it can be; what ours does beyond that
stays on.
"""

LEARNING_RATE = 3e-4

OURS = ("ours", "ours_screened")
PEERS = ("peer_dictionary_learning", "peer_sae_lens", "peer_sae_lens_sparse", "peer_sparsify")
NAMES = (*OURS, "plain", *PEERS)
