"""Reconstruction metrics of one SAE, in one pass over the samples."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE

_BATCH = 1024


class Quality(NamedTuple):
    """Reconstruction metrics and sparsity of one SAE on one set of samples."""

    explained_variance: float
    """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², x̄ the mean sample."""
    explained_variance_scalar_mean: float
    """001's: 1 − var(x − x̂) / var(x), each variance about one scalar mean over all entries."""
    mse: float
    """Squared error averaged over all entries, in squared units of the activations."""
    l0: float
    """Mean number of nonzero latents per sample."""
    firing_rate: Float[Tensor, " n"]
    """Fraction of samples in which each latent is nonzero."""

    @property
    def dead_fraction(self) -> float:
        """Fraction of latents that never fire."""
        return (self.firing_rate == 0).double().mean().item()


def quality(sae: "SAE", x: Float[Tensor, "m d"]) -> Quality:
    """Measure the reconstruction metrics of `sae` on the samples `x`."""
    m, d = x.shape
    squares, total = 0.0, 0.0
    firings = torch.zeros(len(sae.decoder), dtype=torch.float64)
    for batch in x.split(_BATCH):
        latents, made = sae.encode_and_reconstruct(batch)
        error = (batch - made).double()
        squares += whole_sum(error.square())
        total += whole_sum(error)
        firings += (latents != 0).sum(0)
    values = x.double()
    about_mean = whole_sum((values - values.mean(0)).square())
    about_scalar = whole_sum(values.square()) - whole_sum(values) ** 2 / values.numel()
    return Quality(
        1 - squares / about_mean,
        1 - (squares - total**2 / (m * d)) / about_scalar,
        squares / (m * d),
        firings.sum().item() / m,
        firings / m,
    )


def best_gain(sae: "SAE", x: Float[Tensor, "m d"]) -> float:
    """Least-squares factor on all latents: minimizes the squared error of reconstructions."""
    along, square = 0.0, 0.0
    for batch in x.split(_BATCH):
        made = sae.reconstruct(batch) - sae.decoder_bias
        along += whole_sum(made * (batch - sae.decoder_bias))
        square += whole_sum(made.square())
    return along / square if square else 1.0


def whole_sum(values: Float[Tensor, "m d"]) -> float:
    """Sum all entries in a fixed order.

    torch splits such a sum among threads, and the last bits then depend on their number.
    """
    return values.sum(1).numpy().sum(dtype=float).item()
