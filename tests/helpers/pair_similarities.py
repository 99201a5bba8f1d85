"""The similarities of definitions.md §1 that need only decoders, of one pair."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.stability.pairs import find_partners


class PairSimilarity(NamedTuple):
    """The similarities of definitions.md §1 that need only decoders."""

    max_cosine: float
    """Two-way mean of best signed cosines."""
    max_abs_cosine: float
    """Two-way mean of best absolute cosines."""
    matched_mean: float
    """Mean cosine of the one-to-one assignment."""
    matched_median: float
    """Median of the matched cosines."""
    matched_q05: float
    """5% quantile of the matched cosines."""
    matched_q25: float
    """Lower quartile of the matched cosines."""
    matched_q75: float
    """Upper quartile of the matched cosines."""
    matched_q95: float
    """95% quantile of the matched cosines."""
    matched_best: float
    """Largest matched cosine."""
    matched_at_least_05: float
    """Share of matched pairs with a cosine ≥ 0.5."""
    matched_at_least_07: float
    """Share of matched pairs with a cosine ≥ 0.7."""
    matched_at_least_09: float
    """Share of matched pairs with a cosine ≥ 0.9."""


def pair_similarities(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> PairSimilarity:
    """All similarities of `A` and `B`.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
    """
    best, matching = find_partners(A, B)
    matched = matching.matched_cosines.double()
    levels = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95, 1.0], dtype=torch.float64)
    q05, q25, median, q75, q95, highest = torch.quantile(matched, levels).tolist()
    at_least = [(matched >= level).double().mean().item() for level in (0.5, 0.7, 0.9)]
    return PairSimilarity(
        best.max_cosine,
        best.max_abs_cosine,
        matched.mean().item(),
        median,
        q05,
        q25,
        q75,
        q95,
        highest,
        *at_least,
    )
