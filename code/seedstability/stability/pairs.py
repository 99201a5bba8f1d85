"""Similarities of one pair of dictionaries, and of all pairs."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.errors import UserError
from seedstability.stability.cosine import cosines
from seedstability.stability.matching.match import Matching, match, match_cosines
from seedstability.stability.matching.nearest import BestCosines, best_cosines

_COSINES_AT_ONCE = 1 << 22
"""16 MB: up to 2,048 latents, best partners and the assignment share one matrix of cosines."""


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


class Partners(NamedTuple):
    """Partners of every row of two matrices of directions."""

    best: BestCosines
    """Cosine with the nearest partner, many-to-one."""
    matching: Matching
    """Partner in the one-to-one assignment."""


def find_partners(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"], certify: bool = False
) -> Partners:
    """Nearest partners and the one-to-one assignment; no n × n matrix if that would be large.

    Args:
        A, B: one direction per row.
        certify: certify the assignment with dual prices.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
    """
    if len(A) * len(B) > _COSINES_AT_ONCE:
        return Partners(best_cosines(A, B), match(A, B, certify=certify))
    S = cosines(A, B)
    size = S.abs()
    best = BestCosines(S.amax(dim=1), S.amax(dim=0), size.amax(dim=1), size.amax(dim=0))
    return Partners(best, match_cosines(S, certify))


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


def similarity_matrices(
    decoders: Float[Tensor, "S n d"], live: Bool[Tensor, "S n"] | None = None
) -> dict[str, np.ndarray]:
    """Similarities of all pairs of `S` dictionaries, as symmetric [S, S] matrices by name.

    The diagonal is NaN: a dictionary is not compared with itself.

    Args:
        decoders: one dictionary per seed, [S, n, d] or a sequence of [n_s, d].
        live: compare only the latents marked here.

    Raises:
        UserError: for fewer than two dictionaries, or one without live latents.
    """
    rows = _kept(decoders, live)
    if len(rows) < 2:
        raise UserError(f"{len(rows)} dictionary given; a comparison needs at least 2")
    result = {name: np.full((len(rows),) * 2, np.nan) for name in PairSimilarity._fields}
    for i, j in all_pairs(len(rows)):
        for name, value in pair_similarities(rows[i], rows[j])._asdict().items():
            result[name][i, j] = result[name][j, i] = value
    return result


def all_pairs(n_seeds: int) -> list[tuple[int, int]]:
    """Every pair of seeds, smaller index first."""
    return list(combinations(range(n_seeds), 2))


def _kept(
    decoders: Tensor | Sequence[Tensor], live: Tensor | Sequence[Tensor] | None
) -> list[Tensor]:
    if live is None:
        return list(decoders)
    kept = [W[alive] for W, alive in zip(decoders, live, strict=True)]
    for seed, W in enumerate(kept):
        if len(W) == 0:
            raise UserError(f"dictionary {seed} has no live latent; leave it out of the comparison")
    return kept
