"""Reconstruction metrics of SAEs on streamed activations.

The quantities are those of `dictionaries.metrics`, which needs all samples at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.architectures.topk import TopK
from seedstability.dictionaries.metrics import whole_sum
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.sparse_latents import nonzero
from seedstability.progress import report
from seedstability.similarity.samples.activations import Activations

_CODES_AT_ONCE = 1 << 25
"""128 MB of codes: 256 samples at a time with 131,072 latents."""
_MOST_ROWS = 1024
_SPARSE = 1 / 16
"""Share of active latents up to which they are decoded one by one."""


class Strongest(NamedTuple):
    """The samples in which each latent is largest, the largest first."""

    samples: Int[Tensor, "few n"]
    """Number of the sample; −1 where the latent fires in fewer."""
    values: Float[Tensor, "few n"]
    """Value of the latent there; 0 where it fires in fewer."""

    @classmethod
    def none(cls, few: int, n: int) -> "Strongest":
        """Of no samples."""
        return cls(torch.full((few, n), -1), torch.zeros(few, n))

    def with_more(self, latents: Float[Tensor, "b n"], first: int) -> "Strongest":
        """With those of a batch whose first sample has this number."""
        few = len(self.samples)
        values, rows = latents.topk(min(few, len(latents)), dim=0)
        every = torch.cat([self.values, values])
        numbers = torch.cat([self.samples, (rows + first).where(values > 0, -1)])
        kept, places = every.topk(few, dim=0)
        return Strongest(numbers.gather(0, places), kept)


class ReconstructionMetrics(NamedTuple):
    """Reconstruction metrics of one SAE."""

    explained_variance: float
    """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², with x̄ the mean sample."""
    l0: float
    """Mean number of nonzero latents per sample."""
    firing: Float[Tensor, " n"]
    """Firing rate: share of samples in which each latent is not zero."""
    strongest: Strongest | None = None
    """Samples in which each latent is largest, if asked for."""

    @property
    def live(self) -> Bool[Tensor, " n"]:
        """Mask of latents that fire at least once."""
        return self.firing > 0

    @property
    def dead_fraction(self) -> float:
        """Share of latents that never fire."""
        return (self.firing == 0).double().mean().item()


def reconstruction_metrics(
    saes: Sequence[SAE],
    activations: Activations,
    total_sum_of_squares: float,
    strongest: int = 0,
) -> list[ReconstructionMetrics]:
    """Reconstruction metrics of all SAEs in one pass over the activations.

    Args:
        saes: all of one width.
        activations: to be reconstructed.
        total_sum_of_squares: Σ‖x − x̄‖² of the activations.
        strongest: in how many samples each latent is largest, to be listed.
    """
    if not saes:
        return []
    m, _ = activations.samples.shape
    n = max(len(each.decoder) for each in saes)
    rows = max(1, min(_MOST_ROWS, _CODES_AT_ONCE // n))
    squares = [0.0] * len(saes)
    firings = [torch.zeros(len(each.decoder), dtype=torch.float64) for each in saes]
    largest = [Strongest.none(strongest, len(each.decoder)) for each in saes]
    done = 0
    for part in activations.samples.parts():
        for place, sae in enumerate(saes):
            for number, x in enumerate(part.split(rows)):
                made, fired = _passed(sae, x)
                squares[place] += whole_sum((x - made).double().square())
                firings[place] += fired
                if strongest:
                    first = done + number * rows
                    largest[place] = largest[place].with_more(sae.encode(x), first)
            report(done * len(saes) + (place + 1) * len(part), m * len(saes))
        done += len(part)
    return [
        ReconstructionMetrics(
            1 - square / total_sum_of_squares,
            count.sum().item() / m,
            count / m,
            each if strongest else None,
        )
        for square, count, each in zip(squares, firings, largest, strict=True)
    ]


def _passed(sae: SAE, x: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b d"], Int[Tensor, " n"]]:
    """Reconstructions, and in how many samples each latent is not zero.

    Where few latents are active, only these are decoded: half the work of a dense product.
    """
    if type(sae) is not SAE:
        latents, made = sae.encode_and_reconstruct(x)
        return made, (latents != 0).sum(0)
    architecture = architecture_of(sae.config)
    if isinstance(architecture, TopK) and sae.config.k <= _SPARSE * len(sae.decoder):
        active = architecture.active(sae, sae.centered(x))
    else:
        latents = sae.encode(x)
        if (latents != 0).sum() > _SPARSE * latents.numel():
            return sae.decode(latents), (latents != 0).sum(0)
        active = nonzero(latents.numpy())
    values = torch.from_numpy(active.values)
    if architecture.rectifies(sae.config):
        values = values.clamp(min=0.0)
    columns = torch.from_numpy(active.latents).long()
    made = embedding_bag(
        columns,
        sae.decoder,
        torch.from_numpy(active.offsets[:-1]).long(),
        mode="sum",
        per_sample_weights=values,
    )
    return made + sae.decoder_bias, columns[values != 0].bincount(minlength=len(sae.decoder))
