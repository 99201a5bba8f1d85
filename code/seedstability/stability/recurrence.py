"""What becomes of single latents from seed to seed: reproducibility, firing, two camps.

"Unstable features, reproducible subspaces" (2606.12138) calls p̂ the share of other seeds in
which a latent is found again. From few seeds p̂ is a noisy vote; the beta-binomial fit asks for
the law of the true p behind the votes.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy import optimize, special
from torch import Tensor

from seedstability.errors import UserError
from seedstability.stability.matching.nearest import best_cosines as pairwise_best
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic

STABLE = 0.95
UNSTABLE = 0.05


class Camps(NamedTuple):
    """How many latents nearly always come back, and how many nearly never."""

    stable: float
    """Share with p̂ ≥ 0.95."""
    unstable: float
    """Share with p̂ ≤ 0.05."""
    between: float
    """The rest, which are neither."""


@dataclass(frozen=True)
class BetaBinomial:
    """A beta law of the latents' true p, votes being binomial given p."""

    a: float
    """First shape parameter; below 1 the density rises without bound towards p = 0."""
    b: float
    """Second; below 1 it rises towards p = 1."""
    log_likelihood: float
    """Of all votes, without the binomial coefficients."""

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
        """Shares of *true* p in the two camps, freed from the noise of few votes."""
        stable = float(special.betainc(self.b, self.a, 1.0 - STABLE))
        unstable = float(special.betainc(self.a, self.b, UNSTABLE))
        return Camps(stable, unstable, 1.0 - stable - unstable)


def best_cosines(
    decoders: Float[Tensor, "S n d"], live: Bool[Tensor, "S n"] | None = None
) -> Float[Tensor, "S S n"]:
    """[s, t, i]: best signed cosine of latent i of seed s with any latent of seed t.

    NaN where s = t. Thresholds can be swept over it without a new comparison.

    Args:
        decoders: one dictionary a seed.
        live: latents that may be found; a dead one, still at its initialisation, is then
            nobody's partner. Rows of dead latents are given all the same.

    Raises:
        UserError: for fewer than two seeds.
    """
    if len(decoders) < 2:
        raise UserError(f"{len(decoders)} dictionary has no other to come back in; give at least 2")
    n_seeds, n = len(decoders), len(decoders[0])
    best = torch.full((n_seeds, n_seeds, n), torch.nan)
    for s in range(n_seeds):
        for t in range(s + 1, n_seeds):
            if live is None:
                best[s, t], best[t, s], *_ = pairwise_best(decoders[s], decoders[t])
            else:
                best[s, t] = _best_of_live(decoders[s], decoders[t], live[t])
                best[t, s] = _best_of_live(decoders[t], decoders[s], live[s])
    return best


def recurrence_counts(best: Float[Tensor, "S S n"], threshold: float = 0.7) -> Int[Tensor, "S n"]:
    """In how many other seeds each latent has a cosine ≥ `threshold` (many-to-one)."""
    return (best >= threshold).sum(dim=1)  # NaN of the own seed compares false


def reproducibility(
    decoders: Float[Tensor, "S n d"], threshold: float = 0.7
) -> Float[Tensor, "S n"]:
    """p̂: share of the other seeds in which each latent comes back.

    The same from drawn dictionaries (`null_models`) is its chance level;
    `chance.chance_reproducibility` has it in closed form for isotropic ones.

    Raises:
        UserError: for fewer than two seeds.
    """
    return reproducibility_from_cosines(best_cosines(decoders), threshold)


def reproducibility_from_cosines(
    best: Float[Tensor, "S S n"], threshold: float = 0.7
) -> Float[Tensor, "S n"]:
    """As `reproducibility`, from `best_cosines` at hand."""
    return recurrence_counts(best, threshold).double() / (len(best) - 1)


def camps(p: Float[Tensor, "..."], live: Bool[Tensor, "..."] | None = None) -> Camps:
    """Shares of stable and unstable latents by p̂, among the live ones where they are marked.

    Raises:
        UserError: when no latent is left.
    """
    p = p.flatten() if live is None else p[live]
    if p.numel() == 0:
        raise UserError("no latent is live; there are no shares to give")
    stable = (p >= STABLE).double().mean().item()
    unstable = (p <= UNSTABLE).double().mean().item()
    return Camps(stable, unstable, 1.0 - stable - unstable)


def firing(codes: Float[Tensor, "samples n"]) -> Float[Tensor, "n"]:
    """Share of the samples on which each latent is not zero."""
    if codes.ndim != 2 or len(codes) == 0:
        raise UserError(f"codes have shape {tuple(codes.shape)}; need [samples, latents], not none")
    return (codes != 0).double().mean(dim=0)


def live(codes: Float[Tensor, "samples n"]) -> Bool[Tensor, "n"]:
    """Latents that fire at least once over the samples."""
    return firing(codes) > 0


def beta_binomial_fit(counts: Int[Tensor, "..."] | ndarray, trials: int) -> BetaBinomial:
    """Maximum-likelihood beta law behind votes of `trials` other seeds.

    Votes that are all 0, or all `trials`, have no finite maximum: the fit then stops at a
    concentration of e⁻⁸ … e⁸ and a mean that is as good as 0 or 1.

    Raises:
        UserError: for votes that are not between 0 and `trials`.
    """
    counts = np.asarray(counts).ravel()
    if trials < 1 or counts.size == 0 or counts.min() < 0 or counts.max() > trials:
        raise UserError(f"votes must lie between 0 and {trials}, the number of other seeds")
    weights = np.bincount(counts.astype(int), minlength=trials + 1)
    k = np.arange(trials + 1)

    def loss(at: ndarray) -> float:
        a, b = _shapes(at)
        likelihood = special.betaln(k + a, trials - k + b) - special.betaln(a, b)
        return -float(weights @ likelihood) / counts.size

    # Mean and concentration, because votes tell much of the one and little of the other.
    share = np.clip(counts.mean() / trials, 0.01, 0.99)
    starts = [np.array([special.logit(share), size]) for size in (-1.0, 2.0)]
    bounds = [(-12.0, 12.0), (-8.0, 8.0)]
    fits = [optimize.minimize(loss, at, method="L-BFGS-B", bounds=bounds) for at in starts]
    best = min(fits, key=lambda fit: fit.fun)
    return BetaBinomial(*_shapes(best.x), log_likelihood=-best.fun * counts.size)


def camps_over_seeds(
    best: Float[Tensor, "S S n"], threshold: float = 0.7, live: Bool[Tensor, "S n"] | None = None
) -> dict[str, Interval]:
    """Fitted stable and unstable shares and the mean p, with intervals over seeds.

    A seed left out takes its latents and its votes along, so that an interval speaks of
    other seeds and not of other latents of these.

    Args:
        best: from `best_cosines`, three seeds or more.
        threshold: cosine from which a latent counts as found again.
        live: counts only the latents marked here.
    """

    @cache  # three measures ask for the same fits
    def fit(*seeds: int) -> BetaBinomial:
        some = torch.tensor(seeds)
        counts = recurrence_counts(best[some][:, some], threshold)
        kept = counts if live is None else counts[live[some]]
        return beta_binomial_fit(kept, trials=len(seeds) - 1)

    measures = {
        "stable": lambda seeds: fit(*seeds).camps.stable,
        "unstable": lambda seeds: fit(*seeds).camps.unstable,
        "mean": lambda seeds: fit(*seeds).mean,
    }
    return {name: jackknife_statistic(f, len(best), group=2) for name, f in measures.items()}


def _best_of_live(A: Tensor, B: Tensor, live: Tensor) -> Tensor:
    # Where nobody lives nothing is found, at any threshold.
    return pairwise_best(A, B[live]).rows if live.any() else torch.full((len(A),), -1.0)


def _shapes(at: ndarray) -> tuple[float, float]:
    mean, concentration = special.expit(at[0]), np.exp(at[1])
    return float(mean * concentration), float((1.0 - mean) * concentration)
