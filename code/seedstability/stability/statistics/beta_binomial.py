"""What a beta law of the latents' true p says about votes that nobody has counted yet.

Seeds are taken to be exchangeable and their votes independent given a latent's p: then the law that
a few seeds give says how many latents more seeds would find. NumPy and SciPy only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import special

from seedstability.errors import UserError


class BetaLaw(NamedTuple):
    """A beta law of p, the probability that a latent is found in another seed."""

    a: float
    """First shape parameter; below 1 the density rises without bound towards p = 0."""
    b: float
    """Second; below 1 it rises towards p = 1."""

    @property
    def mean(self) -> float:
        """Expected p: the share that one other seed finds."""
        return self.a / (self.a + self.b)

    def share_above(self, p: float) -> float:
        """Share of latents whose true p is at least so much."""
        return float(special.betaincc(self.a, self.b, p))

    def unshared(self, others: int) -> float:
        """Expected share of latents that none of so many other seeds has.

        E[(1 − p)^m] = B(a, b + m) / B(a, b).
        """
        return _ratio(self.b, self.a, others)

    def unanimous(self, others: int) -> float:
        """Expected share of latents that all of so many other seeds have, E[p^m]."""
        return _ratio(self.a, self.b, others)

    def votes(self, others: int) -> Float[ndarray, "others+1"]:
        """Expected share of latents with 0, 1, … votes of so many other seeds."""
        k = np.arange(others + 1)
        choose = -special.betaln(k + 1, others - k + 1) - np.log(others + 1)
        inside = special.betaln(k + self.a, others - k + self.b)
        return np.exp(choose + inside - special.betaln(self.a, self.b))


def law_from_unshared(one: float, two: float) -> BetaLaw:
    """The law under which so many latents are unshared with one other seed, and with two.

    With s = a + b: one = b / s, two = one · (b + 1) / (s + 1), so s = (one − two) / (two − one²).

    Args:
        one: share of latents that one other seed does not have.
        two: share that neither of two has.

    Raises:
        UserError: for shares that no beta law has: a second seed has to find something, and less
            than if p were the same for all latents.
    """
    if not 0 < one**2 < two < one < 1:
        raise UserError(
            f"{one:g} and {two:g} unshared belong to no beta law; "
            f"the second must lie between {one**2:g} and {one:g}"
        )
    size = (one - two) / (two - one**2)
    return BetaLaw(size * (1.0 - one), size * one)


def unshared_and_unanimous_shares(
    votes: Int[ndarray, "..."], seen: int, others: int
) -> tuple[float, float]:
    """Shares of latents that none, and that all, of `others` other seeds have.

    The mean over all choices of so many among the seeds that voted, which is exact: a latent with
    v votes of M is found by none of m chosen ones with probability C(M − v, m) / C(M, m).

    Args:
        votes: of each latent, by `seen` other seeds.
        seen: M.
        others: m, at most M.

    Raises:
        UserError: when more seeds are asked about than voted.
    """
    if not 0 < others <= seen:
        raise UserError(f"{others} other seeds are asked about; 1 to {seen} voted")
    found = np.asarray(votes).ravel()
    return (
        float(_chosen(seen - found, seen, others).mean()),
        float(_chosen(found, seen, others).mean()),
    )


def total_variation_distance(
    observed: Float[ndarray, "bins"], expected: Float[ndarray, "bins"]
) -> float:
    """Share of latents that a law puts into another bin of votes: half the summed differences."""
    return float(0.5 * np.abs(np.asarray(observed) - np.asarray(expected)).sum())


def _ratio(up: float, other: float, power: int) -> float:
    """B(up + power, other) / B(up, other)."""
    return float(np.exp(special.betaln(up + power, other) - special.betaln(up, other)))


def _chosen(kind: ndarray, total: int, m: int) -> ndarray:
    """Probability that m of `total` are all of the `kind` so many of them are."""
    return special.comb(kind, m) / special.comb(total, m)
