"""Stable and unstable latents of each dictionary, to be compared with each other.

Stable and unstable are the camps of definitions.md §1, p̂ ≥ 0.95 and p̂ ≤ 0.05 among live latents.
If a dictionary has too few stable or too few unstable latents, all use instead the upper and the
lower quarter by mean best cosine. `kind` says which of the two was used.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from seedstability.errors import UserError
from seedstability.stability.config import GroupsConfig
from seedstability.stability.statistics.beta_binomial import (
    STABLE,
    UNSTABLE,
    BetaLaw,
    beta_binomial_fit,
)

LOWEST_U_SHAPE = -1.0
"""Value of `u_shape` if a shape parameter is 2 or more, or if all counts are the same."""


class Groups(NamedTuple):
    """Indices of latents, one ascending array per seed."""

    stable: list[Int[ndarray, " stable"]]
    """Latents that recur in nearly all other seeds."""
    unstable: list[Int[ndarray, " unstable"]]
    """Latents that recur in hardly any."""
    kind: Literal["camps", "quarters"]
    """Whether the groups are camps by p̂ or quarters by mean best cosine."""

    @property
    def smallest(self) -> int:
        """Latents in the smallest group of any seed."""
        return min(len(group) for group in (*self.stable, *self.unstable))


def recurrence_rates(best: Float[ndarray, "S S n"], threshold: float) -> Float[ndarray, "S n"]:
    """Recurrence rate p̂ of each latent over the other seeds; NaN on the diagonal does not count."""
    return (best >= threshold).sum(axis=1) / (len(best) - 1)


def two_groups(
    best: Float[ndarray, "S S n"], live: Bool[ndarray, "S n"], config: GroupsConfig
) -> Groups:
    """Camps of every seed if all seeds have both, else quarters.

    Args:
        best: [s, t, i], best cosine of latent i of seed s with a live one of t; NaN where s = t.
        live: latents that may be in a group.
        config: threshold, and how small a camp may be.

    Raises:
        UserError: if a seed has fewer than four live latents.
    """
    if live.sum(axis=1).min() < 4:
        seed = int(live.sum(axis=1).argmin())
        raise UserError(
            f"dictionary {seed} has fewer than 4 live latents; quarters need at least 4"
        )
    p = recurrence_rates(best, config.threshold)
    camps = Groups(
        [np.flatnonzero(row) for row in live & (p >= STABLE)],
        [np.flatnonzero(row) for row in live & (p <= UNSTABLE)],
        "camps",
    )
    if camps.smallest >= config.fewest:
        return camps
    found = [_quarters(row, alive) for row, alive in zip(_mean_best(best), live, strict=True)]
    return Groups([high for _, high in found], [low for low, _ in found], "quarters")


def u_shape(law: BetaLaw, counts: Int[ndarray, " latents"]) -> float:
    """min(1 − a, 1 − b) of a beta distribution: above zero, its density has modes at both ends.

    Args:
        law: fitted to the counts.
        counts: number of other seeds in which each latent recurs.

    Returns:
        Between `LOWEST_U_SHAPE` and 1. Counts that are all the same form one camp and get
        `LOWEST_U_SHAPE`.
    """
    if counts.min() == counts.max():
        return LOWEST_U_SHAPE
    return float(max(min(1.0 - law.a, 1.0 - law.b), LOWEST_U_SHAPE))


def fit_beta_law(counts: Int[ndarray, " latents"], trials: int) -> BetaLaw:
    """Maximum-likelihood beta distribution of p."""
    fit = beta_binomial_fit(counts, trials)
    return BetaLaw(fit.a, fit.b)


def _mean_best(best: Float[ndarray, "S S n"]) -> Float[ndarray, "S n"]:
    return np.nanmean(best.astype(float), axis=1)


def _quarters(score: Float[ndarray, " n"], live: Bool[ndarray, " n"]) -> tuple[ndarray, ndarray]:
    """The live latents with the lowest and with the highest scores, a quarter each."""
    alive = np.flatnonzero(live)
    ordered = alive[np.argsort(score[alive], kind="stable")]
    size = len(alive) // 4
    return np.sort(ordered[:size]), np.sort(ordered[-size:])
