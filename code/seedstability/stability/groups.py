"""Two groups of latents in each dictionary: those that come back, and those that do not.

Stable and unstable are the camps of definitions.md §1, p̂ ≥ 0.95 and p̂ ≤ 0.05 among live latents.
Where hardly anything is stable, or hardly anything unstable, there are no two camps to compare;
then the upper and the lower quarter by mean best cosine are taken, and `kind` says so.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from seedstability.errors import UserError
from seedstability.stability.groups_config import GroupsConfig
from seedstability.stability.recurrence import STABLE, UNSTABLE, beta_binomial_fit
from seedstability.stability.statistics.beta_binomial import BetaLaw

FARTHEST = 1.0
"""A law is called as far from two camps as this when it has a shape parameter of 2 or more, or when
all votes are the same, which no beta law with two ends would give."""


class Groups(NamedTuple):
    """Numbers of latents, one array a seed, ascending."""

    stable: list[Int[ndarray, " stable"]]
    """Those that come back."""
    unstable: list[Int[ndarray, " unstable"]]
    """Those that do not."""
    kind: Literal["camps", "quarters"]
    """What the two are."""

    @property
    def smallest(self) -> int:
        """Latents in the smallest group of any seed."""
        return min(len(group) for group in (*self.stable, *self.unstable))


def recurrence_rates(best: Float[ndarray, "S S n"], threshold: float) -> Float[ndarray, "S n"]:
    """p̂ of each latent over the other seeds; NaN on the diagonal is no vote."""
    return (best >= threshold).sum(axis=1) / (len(best) - 1)


def two_groups(
    best: Float[ndarray, "S S n"], live: Bool[ndarray, "S n"], config: GroupsConfig
) -> Groups:
    """Camps of every seed where all have both, else quarters.

    Args:
        best: [s, t, i], best cosine of latent i of seed s with a live one of t; NaN where s = t.
        live: latents that may be in a group.
        config: threshold, and how small a camp may be.

    Raises:
        UserError: where some seed has fewer than four live latents.
    """
    if live.sum(axis=1).min() < 4:
        seed = int(live.sum(axis=1).argmin())
        raise UserError(f"dictionary {seed} has fewer than 4 live latents; they have no quarters")
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


def u_shape(law: BetaLaw, counts: Int[ndarray, "latents"]) -> float:
    """min(1 − a, 1 − b) of a beta law: above zero its density has its modes at both ends.

    Args:
        law: fitted to the votes.
        counts: votes that each latent got.

    Returns:
        Between −`FARTHEST` and 1. Votes that are all the same fit any law at one end; they are one
        camp, and get −`FARTHEST`.
    """
    if counts.min() == counts.max():
        return -FARTHEST
    return float(max(min(1.0 - law.a, 1.0 - law.b), -FARTHEST))


def fit_beta_law(counts: Int[ndarray, "latents"], trials: int) -> BetaLaw:
    """The most likely beta law of p."""
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
