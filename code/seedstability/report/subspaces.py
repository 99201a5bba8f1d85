"""Overlap of the leading subspaces of dictionaries."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seedstability.report.estimates import entry, rounded
from seedstability.similarity.estimates import compared_seeds
from seedstability.similarity.measures import Pair
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.statistics.jackknife import jackknife
from seedstability.stability.subspaces.principal import (
    chance_subspace_overlap,
    leading_directions,
    second_moments,
    subspace_overlap,
)
from seedstability.stability.subspaces.spans import dimensions_for_share

N_LEADING = 8
"""Number of leading directions that other reports compare."""
_SHARE = 0.5
"""Share of the squared length that the other compared subspace holds."""


def subspaces(decoders: Sequence[Float[Tensor, "n d"]], pairs: Sequence[Pair]) -> dict:
    """Overlap of the leading subspaces of each pair, by dimension, with its chance level.

    The dimensions are `N_LEADING`, if the space is larger than that, and as many as hold half of
    the summed squared length of all dictionaries' rows, scaled to length 1.
    """
    moments = [second_moments(normalize_rows(W)) for W in decoders]
    n, d = min(map(len, decoders)), decoders[0].shape[1]
    # A dictionary with fewer latents than coordinates spans at most as many dimensions as latents.
    largest = min(n, d)
    half = min(dimensions_for_share(sum(moments[1:], moments[0]), _SHARE), largest)
    numbers = sorted({half, *([N_LEADING] if largest > N_LEADING else [])})
    leading = [leading_directions(each, numbers[-1]) for each in moments]
    return {str(k): _overlap([each[:k] for each in leading], pairs, d) for k in numbers}


def _overlap(leading: list[Tensor], pairs: Sequence[Pair], d: int) -> dict:
    values = np.full((len(leading),) * 2, np.nan)
    for i, j in pairs:
        values[i, j] = values[j, i] = subspace_overlap(leading[i], leading[j])
    k = len(leading[0])
    chance = chance_subspace_overlap(k, k, d)
    used = compared_seeds(values)
    overlap = jackknife(values[np.ix_(used, used)])
    return {"overlap": entry(overlap, n_seeds=len(used)), "chance": rounded(chance)}
