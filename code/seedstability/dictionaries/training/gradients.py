"""Loss and gradients of one batch on a CPU, for the kernels that update an SAE.

The architecture computes its own part and AuxK adds entries. `losses.py` computes the same loss in
plain torch; the tests compare every gradient with it.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.architecture import Batch
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.sparse_gradients import (
    BatchGradients,
    DenseGradients,
    Entries,
    reconstruct,
)


def loss_and_gradients(
    sae: SAE,
    x: Float[Tensor, "b d"],
    sparsity: float = 1.0,
    dead: Bool[np.ndarray, " n"] | None = None,
    select: sparse_latents.TopKSelector = sparse_latents.topk,
) -> BatchGradients:
    """Compute loss and gradients of `sae` on a batch, without updating it.

    Args:
        sae: float32 on the CPU.
        x: the batch, contiguous.
        sparsity: share of `l1` or `l0_weight` at this step.
        dead: latents that AuxK uses.
        select: selects the k largest pre-activations (`topk` without suppression).
    """
    inputs = Batch(x, sae.centered(x), sparsity, select)
    batch = architecture_of(sae.config).sparse_gradients(sae, inputs)
    return batch if dead is None or not dead.any() else _with_auxk(batch, sae, x, dead)


def sorted_by_latent(batch: BatchGradients, n: int) -> tuple:
    """Encoder inputs, upstream gradient and both sets of entries by latent, for the kernels."""
    encoder_entries, decoder_entries = batch.encoder_entries, batch.decoder_entries
    if (
        encoder_entries.latents is decoder_entries.latents
        and encoder_entries.samples is decoder_entries.samples
    ):
        both = descent.sort_both_by_latent(*encoder_entries, decoder_entries.weights, n)
    else:
        both = (
            descent.sort_by_latent(*encoder_entries, n),
            descent.sort_by_latent(*decoder_entries, n),
        )
    return batch.centered, batch.upstream, *both


def dense_arrays(
    batch: BatchGradients, more: DenseGradients | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense gradients for the kernels: the batch's own plus those of other loss terms."""
    own, other = batch.dense, more or DenseGradients()
    return (
        _sum(own.encoder, other.encoder),
        _sum(own.encoder_bias, other.encoder_bias),
        _sum(own.decoder, other.decoder),
    )


def _sum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.size and other.size:
        return one + other
    return one if one.size else other


def _with_auxk(
    batch: BatchGradients, sae: SAE, x: Tensor, dead: Bool[np.ndarray, " n"]
) -> BatchGradients:
    """Add the AuxK loss: dead latents reconstruct the error, which is held fixed."""
    b, d = x.shape
    live_error = batch.upstream * np.float32(b * d / 2)
    columns = np.flatnonzero(dead).astype(np.int32)
    rows = torch.from_numpy(columns)
    centered = torch.from_numpy(batch.centered)
    k = min(sae.config.auxk, len(columns))
    fired = sparse_latents.topk(sae.encoder[rows], sae.encoder_bias[rows], centered, k)
    fired = fired._replace(latents=columns[fired.latents], values=np.maximum(fired.values, 0))
    variance = np.square(live_error - live_error.mean(0)).sum(dtype=float).item()
    weight = sae.config.auxk_weight / variance if variance else 0.0
    no_bias = np.zeros(d, np.float32)
    made, squares = reconstruct(-live_error, fired, sae, no_bias, np.full(b, 2 * weight))
    np.multiply(made.slopes, fired.values > 0, out=made.slopes)
    batch.loss += weight * squares.sum(dtype=float).item()
    # The rows of this term's entries are the same samples, appended to the batch.
    again = made.samples + np.int32(b)
    batch.centered = np.concatenate([batch.centered, batch.centered])
    batch.upstream = np.concatenate([batch.upstream, made.upstream])
    batch.encoder_entries = batch.encoder_entries.extended(
        Entries(fired.latents, again, made.slopes)
    )
    batch.decoder_entries = batch.decoder_entries.extended(
        Entries(fired.latents, again, fired.values)
    )
    return batch
