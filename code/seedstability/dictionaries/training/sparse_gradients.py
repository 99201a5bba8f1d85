"""Gradients of one batch as sparse entries, and those of the squared error.

With error ε = x̂ − x of b samples in R^d and `upstream` G = ∂loss/∂x̂, an entry (sample s, latent j)
of value z has the slope ζ = ∂loss/∂(pre-activation), and

    ∂D = Zᵀ G      ζ_sj = G_s · D_j      ∂E = ζᵀ (x − subtracted)      ∂e = Σ_s ζ_s
    ∂d = Σ_s G_s − ∂e E, the last only where d is subtracted before the encoder.

`kernels/descent.py` sums them by latent. Each term of the loss adds entries or slopes.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from torch import Tensor

from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.sparse_latents import ActiveEntries

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE


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


def squared_error(
    sae: "SAE",
    x: Tensor,
    centered: Tensor,
    fired: ActiveEntries,
    weight: Float64[np.ndarray, " b"] | None = None,
    rectify: bool = False,
) -> tuple[BatchGradients, Float32[np.ndarray, " b"]]:
    """Loss and gradients of the squared error, and each sample's squared error.

    `weight` is the factor from error to upstream gradient, 2 / (b d) by default. With `rectify` the
    slope of a zero is zero.
    """
    b, d = x.shape
    weight = np.full(b, 2 / (b * d)) if weight is None else weight
    made, squares = reconstruct(x.numpy(), fired, sae, sae.decoder_bias.numpy(), weight)
    if rectify:
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


class Reconstruction(NamedTuple):
    """What the reconstruction kernel fills, for the m entries of b samples."""

    upstream: Float32[np.ndarray, "b d"]
    slopes: Float32[np.ndarray, " m"]
    samples: Int32[np.ndarray, " m"]
    firings: Int64[np.ndarray, " n"]


def reconstruct(
    x: Float32[np.ndarray, "b d"],
    fired: ActiveEntries,
    sae: "SAE",
    bias: Float32[np.ndarray, " d"],
    weight: Float64[np.ndarray, " b"],
) -> tuple[Reconstruction, Float32[np.ndarray, " b"]]:
    """Run the reconstruction kernel; also returns each sample's squared error."""
    made = Reconstruction(
        np.empty(x.shape, np.float32),
        np.empty(len(fired.values), np.float32),
        np.empty(len(fired.values), np.int32),
        np.zeros(len(sae.encoder), np.int64),
    )
    squares = descent.reconstruct(
        x, *fired, sae.decoder.numpy(), bias, weight.astype(np.float32), *made
    )
    return made, squares
