"""Reconstruction metrics of SAEs on streamed activations.

The quantities are those of `dictionaries.metrics`, which needs all samples at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.dictionaries.metrics import whole_sum
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report
from seedstability.similarity.samples.activations import Activations

_CODES_AT_ONCE = 1 << 25
"""128 MB of codes: 256 samples at a time with 131,072 latents."""
_MOST_ROWS = 1024


class ReconstructionMetrics(NamedTuple):
    """Reconstruction metrics of one SAE."""

    explained_variance: float
    """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², with x̄ the mean sample."""
    l0: float
    """Mean number of nonzero latents per sample."""
    firing: Float[Tensor, " n"]
    """Firing rate: share of samples in which each latent is not zero."""

    @property
    def live(self) -> Bool[Tensor, " n"]:
        """Mask of latents that fire at least once."""
        return self.firing > 0

    @property
    def dead_fraction(self) -> float:
        """Share of latents that never fire."""
        return (self.firing == 0).double().mean().item()


def reconstruction_metrics(
    saes: Sequence[SAE], activations: Activations, total_sum_of_squares: float
) -> list[ReconstructionMetrics]:
    """Reconstruction metrics of all SAEs in one pass over the activations.

    Args:
        saes: all of one width.
        activations: to be reconstructed.
        total_sum_of_squares: Σ‖x − x̄‖² of the activations.
    """
    if not saes:
        return []
    m, _ = activations.samples.shape
    n = max(len(each.decoder) for each in saes)
    rows = max(1, min(_MOST_ROWS, _CODES_AT_ONCE // n))
    squares = [0.0] * len(saes)
    firings = [torch.zeros(len(each.decoder), dtype=torch.float64) for each in saes]
    done = 0
    for part in activations.samples.parts():
        for place, sae in enumerate(saes):
            for x in part.split(rows):
                latents, made = sae.encode_and_reconstruct(x)
                squares[place] += whole_sum((x - made).double().square())
                firings[place] += (latents != 0).sum(0)
            report(done * len(saes) + (place + 1) * len(part), m * len(saes))
        done += len(part)
    return [
        ReconstructionMetrics(1 - square / total_sum_of_squares, count.sum().item() / m, count / m)
        for square, count in zip(squares, firings, strict=True)
    ]
