"""How far the subspaces agree that hold most of each dictionary."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.report.estimates import over_pairs, rounded
from seedstability.similarity.measures import Pair
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import (
    chance_subspace_overlap,
    leading_directions,
    second_moments,
    subspace_overlap,
)

N_LEADING = 8
"""Directions that reports compare."""
_HOLDS = 0.5


def subspaces(decoders: Sequence[Float[Tensor, "n d"]], pairs: Sequence[Pair]) -> dict:
    """Overlap of the leading directions of each pair, by their number, with its chance.

    The numbers are `N_LEADING`, where the space is larger than that, and as many as hold half of the
    summed squared length of all dictionaries' rows, each row taken at length one.
    """
    moments = [second_moments(normalize_rows(W)) for W in decoders]
    n, d = decoders[0].shape
    # A dictionary of fewer latents than coordinates has no more directions than latents.
    largest = min(n, d)
    half = min(_holding(sum(moments[1:], moments[0]), _HOLDS), largest)
    numbers = sorted({half, *([N_LEADING] if largest > N_LEADING else [])})
    leading = [leading_directions(each, numbers[-1]) for each in moments]
    return {str(k): _overlap([each[:k] for each in leading], pairs, d) for k in numbers}


def _overlap(leading: list[Tensor], pairs: Sequence[Pair], d: int) -> dict:
    values = np.full((len(leading),) * 2, np.nan)
    for i, j in pairs:
        values[i, j] = values[j, i] = subspace_overlap(leading[i], leading[j])
    k = len(leading[0])
    chance = chance_subspace_overlap(k, k, d)
    return {"overlap": over_pairs(values), "chance": rounded(chance)}


def _holding(moments: Float[Tensor, "d d"], share: float) -> int:
    """Leading directions that hold at least this share."""
    falling = torch.linalg.eigvalsh(moments).flip(0).clamp(min=0.0).cumsum(0)
    return int((falling < share * falling[-1]).sum()) + 1
