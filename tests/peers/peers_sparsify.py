"""Run in the peers' environment: sparsify writes checkpoints, and reads ours."""

import os

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

import torch
from peers_random import D, K, N, fill
from sparsify import SparseCoder, SparseCoderConfig

KINDS = {
    "topk": {"num_latents": N},
    "topk_by_factor": {"expansion_factor": 4, "normalize_decoder": False},
    "topk_multi": {"num_latents": N, "multi_topk": True},
    "topk_bf16": {"num_latents": N},
    "topk_f16": {"num_latents": N},
}
REFUSED = {
    "groupmax": {"num_latents": N, "activation": "groupmax"},
    "skip": {"num_latents": N, "skip_connection": True},
    "transcoder": {"num_latents": N, "transcode": True},
}
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def write(folder):
    """A checkpoint under each name; yields the name and who reconstructs."""
    for name, settings in KINDS.items():
        make(settings).to(TYPES.get(name.split("_")[-1], torch.float32)).save_to_disk(folder(name))
        yield name, read(folder(name))


def write_refused(folder):
    for name, settings in REFUSED.items():
        make(settings).save_to_disk(folder(name))


def read(folder):
    coder = SparseCoder.load_from_disk(folder).float()

    def reconstruct(x):
        # Not forward: with multi_topk that gives what the loss wants, from 4k latents.
        found = coder.encode(x)
        return coder.decode(found.top_acts, found.top_indices)

    return reconstruct


def make(settings):
    return fill(SparseCoder(D, SparseCoderConfig(k=K, **settings)))
