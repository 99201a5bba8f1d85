"""Small, fast versions of every preset, and comparisons of trained SAEs."""

from dataclasses import replace

import numpy as np
import torch

from audit.training import stages
from helpers.dictionaries_data import samples
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    HUSAI_RELU,
    HUSAI_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
)
from seedstability.dictionaries.sae import PARTS
from seedstability.dictionaries.training.initialization import ActivationScaling

X = samples(m=600, d=24)
ACTIVATIONS = {"train": X[:500].numpy(), "heldout": X[500:].numpy()}
SMALL = {"n_latents": 64, "k": 4, "epochs": 2, "batch_size": 64}
# short schedules, so that late events of training occur in a few steps
SOON = {"dead_after": 400, "clip_norm": 0.5, "warm_up_steps": 4, "decay_share": 0.5}
PRESETS = {
    "topk": replace(TOPK, **SMALL),
    "topk_auxk": replace(TOPK, **SMALL, **SOON),
    "batch_topk": replace(BATCH_TOPK, **SMALL),
    "relu": replace(RELU, **SMALL),
    "relu_resampled": replace(RELU, **(SMALL | {"epochs": 4}), resample_every=7),
    "jumprelu": replace(JUMPRELU, **SMALL, sparsity_warm_up_steps=8),
    "husai_topk": replace(HUSAI_TOPK, **SMALL),
    "husai_relu": replace(HUSAI_RELU, **SMALL),
}
UNSCALED = ActivationScaling(X.mean(0), 1.0)


def same(a, b) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in (*PARTS, stages.INITIAL))


def identical(first, second) -> bool:
    return all(torch.equal(getattr(first, part), getattr(second, part)) for part in PARTS)
