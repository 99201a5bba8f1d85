"""Partners within one pair of dictionaries, and the pairs of several."""

from itertools import combinations
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from seedstability.stability.cosine import cosines
from seedstability.stability.matching.match import Matching, match, match_cosines
from seedstability.stability.matching.nearest import BestCosines, best_cosines

_COSINES_AT_ONCE = 1 << 22
"""16 MB: up to 2,048 latents, best partners and the assignment share one matrix of cosines."""


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
    if not fits_in_memory(A, B):
        return Partners(best_cosines(A, B), match(A, B, certify=certify))
    S = cosines(A, B)
    size = S.abs()
    best = BestCosines(S.amax(dim=1), S.amax(dim=0), size.amax(dim=1), size.amax(dim=0))
    return Partners(best, match_cosines(S, certify))


def fits_in_memory(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> bool:
    """Whether `find_partners` holds all their cosines at once."""
    return len(A) * len(B) <= _COSINES_AT_ONCE


def all_pairs(n_seeds: int) -> list[tuple[int, int]]:
    """Every pair of seeds, smaller index first."""
    return list(combinations(range(n_seeds), 2))
