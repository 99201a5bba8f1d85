"""Loss and gradients of one batch on a CPU, as sparse entries.

With error ε = x̂ − x of b samples in R^d and `upstream` G = ∂loss/∂x̂, an entry (sample s, latent j)
of value z has the slope ζ = ∂loss/∂(pre-activation), and

    ∂D = Zᵀ G      ζ_sj = G_s · D_j      ∂E = ζᵀ (x − subtracted)      ∂e = Σ_s ζ_s
    ∂d = Σ_s G_s − ∂e E, the last only where d is subtracted before the encoder.

`kernels/descent.py` sums them by latent. Each term of the loss adds entries or slopes. A ReLU
dictionary in which many latents fire has dense gradients instead. `losses.py` computes the same
loss in plain torch; the tests compare every gradient with it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.metrics import whole_sum
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.sparse_latents import ActiveEntries

_DENSE_FROM = 1 / 4
"""Share of active entries above which dense products are faster than sparse entries; measured at
128 × 1024 and batches of 256 by `benchmarks/training/density.py`."""


@dataclass(frozen=True)
class DenseGradients:
    """Dense gradients, added to those of the sparse entries; empty by default."""

    encoder: Float32[np.ndarray, "n d"] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )
    """Added to ∂E."""
    encoder_bias: Float32[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0, np.float32))
    """Added to ∂e."""
    decoder: Float32[np.ndarray, "n d"] = field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )
    """Added to ∂D."""


class Entries(NamedTuple):
    """Sparse matrix of samples × latents in coordinate format."""

    latents: Int32[np.ndarray, " m"]
    """Column of each entry."""
    samples: Int32[np.ndarray, " m"]
    """Row of each entry. With AuxK the rows are the batch's samples twice."""
    weights: Float32[np.ndarray, " m"]
    """Value of each entry."""

    def extended(self, other: "Entries") -> "Entries":
        """Append the entries of another matrix."""
        return Entries(*(np.concatenate(both) for both in zip(self, other, strict=True)))


@dataclass
class BatchGradients:
    """Loss and gradients of one batch of b samples."""

    loss: float
    """The loss, with all terms."""
    centered: Float32[np.ndarray, "b d"]
    """Inputs of the encoder."""
    upstream: Float32[np.ndarray, "b d"]
    """G for each sample."""
    encoder_entries: Entries
    """ζ, sparse gradients of the pre-activations; they determine ∂E and ∂e."""
    decoder_entries: Entries
    """z, sparse latents; they determine ∂D."""
    decoder_bias: Float32[np.ndarray, " d"]
    """∂d without the part that flows through the encoder."""
    firings: Int64[np.ndarray, " n"]
    """Number of samples in which each latent is nonzero."""
    dense: DenseGradients = field(default_factory=DenseGradients)
    """Dense gradients, if any."""
    threshold: Float32[np.ndarray, " n"] | None = None
    """Gradient of the log-thresholds (`jumprelu`)."""
    smallest_kept: float | None = None
    """The smallest value kept (`batch_topk`)."""


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
    centered = sae.centered(x)
    if sae.config.architecture == "relu":
        batch = _relu(sae, x, centered, sparsity)
    elif sae.config.architecture == "jumprelu":
        batch = _jumprelu(sae, x, centered, sparsity)
    elif sae.config.architecture == "batch_topk":
        fired = sparse_latents.batch_topk(sae, centered, sae.config.k)
        batch, _ = _squared_error(sae, x, centered, fired)
        batch.smallest_kept = fired.values.min().item() if len(fired.values) else None
    else:
        batch = _topk(sae, x, centered, select)
    return batch if dead is None or not dead.any() else _with_auxk(batch, sae, x, dead)


def gradients(sae: SAE, batch: BatchGradients) -> dict[str, Tensor]:
    """Dense gradients of all parameters by name, for tests."""
    empty = {name: np.empty_like(getattr(sae, name).numpy()) for name in PARTS}
    descent.gradients(
        sorted_by_latent(batch, len(sae.encoder)), dense_arrays(batch, None), *empty.values()
    )
    bias = batch.decoder_bias.copy()
    if sae.config.bias_before_encoder:
        bias -= empty["encoder_bias"] @ sae.encoder.numpy()
    found = {name: torch.from_numpy(array) for name, array in empty.items()}
    return {**found, "decoder_bias": torch.from_numpy(bias * sae.config.decoder_bias)}


PARTS = ("encoder", "encoder_bias", "decoder")
"""Parameters of an SAE with one row per latent."""


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


def _topk(
    sae: SAE, x: Tensor, centered: Tensor, select: sparse_latents.TopKSelector
) -> BatchGradients:
    if sae.config.suppression:
        return _suppressed_topk(sae, x, centered)
    fired = select(sae.encoder, sae.encoder_bias, centered, sae.config.k)
    return _squared_error(sae, x, centered, _rectified(sae, fired))[0]


def _suppressed_topk(sae: SAE, x: Tensor, centered: Tensor) -> BatchGradients:
    """TopK with HUSAI's term: a sample's squared error times its largest inactive magnitudes."""
    share, b = sae.config.suppression / len(x), len(x)
    fired, inactive = sparse_latents.topk_and_inactive(sae, centered, sae.config.k)
    weight = 2 / x.numel() + 2 * share * inactive.totals.astype(np.float64)
    batch, squares = _squared_error(sae, x, centered, _rectified(sae, fired), weight)
    batch.loss += share * np.dot(squares, inactive.totals).item()
    samples = np.repeat(np.arange(b, dtype=np.int32), inactive.latents.shape[1])
    slopes = (inactive.signs * (share * squares)[:, None]).astype(np.float32)
    batch.encoder_entries = batch.encoder_entries.extended(
        Entries(inactive.latents.reshape(-1), samples, slopes.reshape(-1))
    )
    return batch


def _rectified(sae: SAE, fired: ActiveEntries) -> ActiveEntries:
    return fired._replace(values=np.maximum(fired.values, 0)) if sae.config.rectify else fired


def _relu(sae: SAE, x: Tensor, centered: Tensor, sparsity: float) -> BatchGradients:
    pre = sparse_latents.pre_activations(sae.encoder, sae.encoder_bias, centered)
    zeros = np.zeros(len(sae.encoder), np.float32)
    l1 = sae.config.l1 * sparsity / len(x)
    if sparse_latents.count_above(pre, zeros).sum() > _DENSE_FROM * pre.size:
        return _dense_relu(sae, x, centered, torch.from_numpy(pre), l1)
    batch, _ = _squared_error(sae, x, centered, sparse_latents.above(pre, zeros))
    batch.loss += l1 * batch.decoder_entries.weights.sum(dtype=float).item()
    np.add(batch.encoder_entries.weights, np.float32(l1), out=batch.encoder_entries.weights)
    return batch


def _dense_relu(
    sae: SAE, x: Tensor, centered: Tensor, latents: Tensor, l1: float
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


def _jumprelu(sae: SAE, x: Tensor, centered: Tensor, sparsity: float) -> BatchGradients:
    """JumpReLU: entries include latents up to half a bandwidth below their threshold, with value
    zero, since they have a gradient on the threshold."""
    config, b = sae.config, len(x)
    threshold, half = sae.threshold.numpy(), np.float32(config.bandwidth / 2)
    weight = config.l0_weight * sparsity / b
    pre = sparse_latents.pre_activations(sae.encoder, sae.encoder_bias, centered)
    near = sparse_latents.above(pre, threshold - half)
    at = threshold[near.latents]
    fires = near.values > at
    batch, _ = _squared_error(sae, x, centered, near._replace(values=near.values * fires))
    batch.loss += weight * np.count_nonzero(fires)
    in_window = near.values < at + half
    slopes = batch.encoder_entries.weights
    felt = (at * slopes + weight)[in_window] * at[in_window] / config.bandwidth
    batch.threshold = -np.bincount(near.latents[in_window], felt, len(threshold)).astype(np.float32)
    np.multiply(slopes, fires, out=slopes)
    return batch


def _squared_error(
    sae: SAE,
    x: Tensor,
    centered: Tensor,
    fired: ActiveEntries,
    weight: Float64[np.ndarray, " b"] | None = None,
) -> tuple[BatchGradients, Float32[np.ndarray, " b"]]:
    """Loss and gradients of the squared error, and each sample's squared error.

    `weight` is the factor from error to upstream gradient, 2 / (b d) by default. The slope of a
    rectified zero is zero; `jumprelu` masks its slopes later, since it needs all of them.
    """
    b, d = x.shape
    weight = np.full(b, 2 / (b * d)) if weight is None else weight
    made, squares = _reconstruct(x.numpy(), fired, sae, sae.decoder_bias.numpy(), weight)
    if sae.config.architecture in ("topk", "batch_topk") and sae.config.rectify:
        np.multiply(made.slopes, fired.values != 0, out=made.slopes)
    batch = BatchGradients(
        squares.sum(dtype=float).item() / (b * d),
        centered.numpy(),
        made.upstream,
        Entries(fired.latents, made.samples, made.slopes),
        Entries(fired.latents, made.samples, fired.values),
        made.upstream.sum(0),
        made.firings,
    )
    return batch, squares


class _Reconstruction(NamedTuple):
    upstream: Float32[np.ndarray, "b d"]
    slopes: Float32[np.ndarray, " m"]
    samples: Int32[np.ndarray, " m"]
    firings: Int64[np.ndarray, " n"]


def _reconstruct(
    x: Float32[np.ndarray, "b d"],
    fired: ActiveEntries,
    sae: SAE,
    bias: Float32[np.ndarray, " d"],
    weight: Float64[np.ndarray, " b"],
) -> tuple[_Reconstruction, Float32[np.ndarray, " b"]]:
    """Run the reconstruction kernel; also returns each sample's squared error."""
    made = _Reconstruction(
        np.empty(x.shape, np.float32),
        np.empty(len(fired.values), np.float32),
        np.empty(len(fired.values), np.int32),
        np.zeros(len(sae.encoder), np.int64),
    )
    squares = descent.reconstruct(
        x, *fired, sae.decoder.numpy(), bias, weight.astype(np.float32), *made
    )
    return made, squares


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
    made, squares = _reconstruct(-live_error, fired, sae, no_bias, np.full(b, 2 * weight))
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
