"""ReLU with an L1 penalty on the latents (Bricken et al., 2023)."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.architecture import Architecture, Batch, Forward
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.metrics import whole_sum
from seedstability.dictionaries.training.sparse_gradients import (
    BatchGradients,
    DenseGradients,
    Entries,
    squared_error,
)

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE

_DENSE_FROM = 1 / 4
"""Share of active entries above which dense products are faster than sparse entries; measured at
128 × 1024 and batches of 256 by `benchmarks/training/density.py`."""


class ReLU(Architecture):
    """All positive pre-activations are latents; the loss adds `l1` times their sum."""

    name = "relu"
    against_death = "l1"

    def penalty(self, forward: Forward, config: DictionaryConfig) -> Float[Tensor, " S"]:
        """See `Architecture`."""
        return forward.sparsity * config.l1 * forward.latents.sum(2).mean(1)

    def sparse_gradients(self, sae: "SAE", inputs: Batch) -> BatchGradients:
        """See `Architecture`. Where many latents fire the gradients are dense."""
        x, centered = inputs.x, inputs.centered
        pre = sparse_latents.pre_activations(sae.encoder, sae.encoder_bias, centered)
        zeros = np.zeros(len(sae.encoder), np.float32)
        l1 = sae.config.l1 * inputs.sparsity / len(x)
        if sparse_latents.count_above(pre, zeros).sum() > _DENSE_FROM * pre.size:
            return _dense_gradients(sae, x, centered, torch.from_numpy(pre), l1)
        batch, _ = squared_error(sae, x, centered, sparse_latents.above(pre, zeros))
        batch.loss += l1 * batch.decoder_entries.weights.sum(dtype=float).item()
        np.add(batch.encoder_entries.weights, np.float32(l1), out=batch.encoder_entries.weights)
        return batch


def _dense_gradients(
    sae: "SAE", x: Tensor, centered: Tensor, latents: Tensor, l1: float
) -> BatchGradients:
    n = len(sae.encoder)
    firings, bias = np.zeros(n, np.int32), np.zeros(n, np.float32)
    summed = descent.rectify(latents.numpy(), firings)
    error = torch.addmm(sae.decoder_bias, latents, sae.decoder).sub_(x)
    loss = whole_sum(error.square()) / x.numel() + l1 * summed
    upstream = error.mul_(2 / x.numel())
    slopes = upstream @ sae.decoder.t()
    descent.mask_slopes(slopes.numpy(), latents.numpy(), np.float32(l1), bias)
    no_entries = Entries(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    return BatchGradients(
        loss,
        centered.numpy(),
        upstream.numpy(),
        no_entries,
        no_entries,
        upstream.numpy().sum(0),
        firings.astype(np.int64),
        DenseGradients((slopes.t() @ centered).numpy(), bias, (latents.t() @ upstream).numpy()),
    )
