"""Beta-binomial model of recurrence: fit it to few seeds, and predict counts with more seeds.

Seeds are exchangeable, and given a latent's p its recurrences in other seeds are independent. The
distribution of p over latents, estimated from few seeds, then predicts how many latents more seeds
would have.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy import optimize, special

from seedstability.errors import UserError

STABLE = 0.95
UNSTABLE = 0.05


class Camps(NamedTuple):
    """Shares of latents that are stable, unstable, and neither."""

    stable: float
    """Share with p̂ ≥ 0.95."""
    unstable: float
    """Share with p̂ ≤ 0.05."""
    between: float
    """The rest, which are neither."""


class BetaLaw(NamedTuple):
    """A beta distribution of p, the probability that a latent recurs in another seed."""

    a: float
    """First shape parameter; below 1 the density rises without bound towards p = 0."""
    b: float
    """Second; below 1 it rises towards p = 1."""

    @property
    def mean(self) -> float:
        """Expected p: the expected share of latents that recur in one other seed."""
        return self.a / (self.a + self.b)

    def share_above(self, p: float) -> float:
        """Share of latents whose true p is at least `p`."""
        return float(special.betaincc(self.a, self.b, p))

    def unshared(self, others: int) -> float:
        """Expected share of latents that recur in none of `others` other seeds.

        E[(1 − p)^m] = B(a, b + m) / B(a, b).
        """
        return _ratio(self.b, self.a, others)

    def unanimous(self, others: int) -> float:
        """Expected share of latents that recur in all of `others` other seeds, E[p^m]."""
        return _ratio(self.a, self.b, others)

    def counts_pmf(self, others: int) -> Float[ndarray, " others+1"]:
        """Expected share of latents that recur in 0, 1, … of `others` other seeds."""
        k = np.arange(others + 1)
        choose = -special.betaln(k + 1, others - k + 1) - np.log(others + 1)
        inside = special.betaln(k + self.a, others - k + self.b)
        return np.exp(choose + inside - special.betaln(self.a, self.b))


@dataclass(frozen=True)
class BetaBinomial:
    """A fitted beta distribution of the latents' true p; counts given p are binomial."""

    a: float
    """First shape parameter; below 1 the density rises without bound towards p = 0."""
    b: float
    """Second; below 1 it rises towards p = 1."""
    log_likelihood: float
    """Of all counts, without the binomial coefficients."""

    @property
    def mean(self) -> float:
        """Expected p."""
        return self.a / (self.a + self.b)

    @property
    def two_camps(self) -> bool:
        """Whether the density has its two modes at 0 and 1."""
        return self.a < 1.0 and self.b < 1.0

    @property
    def camps(self) -> Camps:
        """Shares of *true* p at both ends, without the sampling noise of few seeds."""
        stable = float(special.betainc(self.b, self.a, 1.0 - STABLE))
        unstable = float(special.betainc(self.a, self.b, UNSTABLE))
        return Camps(stable, unstable, 1.0 - stable - unstable)


def beta_binomial_fit(counts: ArrayLike, trials: int) -> BetaBinomial:
    """Maximum-likelihood beta distribution of p, from recurrence counts over `trials` other seeds.

    Counts that are all 0, or all `trials`, have no finite maximum: the fit then stops at a
    concentration of e⁻⁸ … e⁸ and a mean that is as good as 0 or 1.

    Raises:
        UserError: for counts that are not between 0 and `trials`.
    """
    counts = np.asarray(counts).ravel()
    if trials < 1 or counts.size == 0 or counts.min() < 0 or counts.max() > trials:
        raise UserError(
            f"recurrence counts must lie between 0 and {trials}, the number of other seeds"
        )
    weights = np.bincount(counts.astype(int), minlength=trials + 1)
    k = np.arange(trials + 1)

    def loss(at: ndarray) -> float:
        a, b = _shapes(at)
        likelihood = special.betaln(k + a, trials - k + b) - special.betaln(a, b)
        return -float(weights @ likelihood) / counts.size

    # Mean and concentration: counts determine the mean well and the concentration poorly.
    share = np.clip(counts.mean() / trials, 0.01, 0.99)
    starts = [np.array([special.logit(share), size]) for size in (-1.0, 2.0)]
    bounds = [(-12.0, 12.0), (-8.0, 8.0)]
    fits = [optimize.minimize(loss, at, method="L-BFGS-B", bounds=bounds) for at in starts]
    best = min(fits, key=lambda fit: fit.fun)
    return BetaBinomial(*_shapes(best.x), log_likelihood=-best.fun * counts.size)


def law_from_unshared(one: float, two: float) -> BetaLaw:
    """The beta distribution with given shares unshared with one other seed and with two.

    With s = a + b: one = b / s, two = one · (b + 1) / (s + 1), so s = (one − two) / (two − one²).

    Args:
        one: share of latents that do not recur in one other seed.
        two: share that recur in neither of two.

    Raises:
        UserError: for shares that no beta distribution has: a second seed must match some latents,
            and fewer than if p were the same for all latents.
    """
    if not 0 < one**2 < two < one < 1:
        raise UserError(
            f"{one:g} and {two:g} unshared belong to no beta distribution; "
            f"the second must lie between {one**2:g} and {one:g}"
        )
    size = (one - two) / (two - one**2)
    return BetaLaw(size * (1.0 - one), size * one)


def unshared_and_unanimous_shares(
    counts: Int[ndarray, "..."], seen: int, others: int
) -> tuple[float, float]:
    """Shares of latents that recur in none, and in all, of `others` other seeds.

    The mean over all choices of m = `others` of the M = `seen` seeds is exact: a latent that
    recurs in v of M seeds recurs in none of m with probability C(M − v, m) / C(M, m).

    Args:
        counts: of each latent, the number of other seeds in which it recurs.
        seen: M, the number of other seeds that were counted.
        others: m, at most M.

    Raises:
        UserError: when `others` is not between 1 and `seen`.
    """
    if not 0 < others <= seen:
        raise UserError(f"others is {others}; it must be 1 to {seen}, the seeds that were counted")
    recurring = np.asarray(counts).ravel()
    return (
        float(_chosen(seen - recurring, seen, others).mean()),
        float(_chosen(recurring, seen, others).mean()),
    )


def total_variation_distance(
    observed: Float[ndarray, " bins"], expected: Float[ndarray, " bins"]
) -> float:
    """Half the summed absolute differences: the share of latents in another bin of counts."""
    return float(0.5 * np.abs(np.asarray(observed) - np.asarray(expected)).sum())


def _ratio(up: float, other: float, power: int) -> float:
    """B(up + power, other) / B(up, other)."""
    return float(np.exp(special.betaln(up + power, other) - special.betaln(up, other)))


def _chosen(kind: ndarray, total: int, m: int) -> ndarray:
    """Probability that m drawn from `total` all belong to the `kind` that are marked."""
    return special.comb(kind, m) / special.comb(total, m)


def _shapes(at: ndarray) -> tuple[float, float]:
    mean, concentration = special.expit(at[0]), np.exp(at[1])
    return float(mean * concentration), float((1.0 - mean) * concentration)
