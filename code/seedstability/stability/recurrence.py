"""Recurrence of single latents across seeds: recurrence rate p̂, firing rate, stable and unstable.

"Unstable features, reproducible subspaces" (2606.12138) calls p̂ the share of other seeds in
which a latent recurs. From few seeds p̂ is noisy; `camps_over_seeds` estimates the distribution of
the true p from a beta-binomial fit.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seedstability.errors import UserError
from seedstability.stability.matching.nearest import best_cosines as pairwise_best
from seedstability.stability.pairs import all_pairs
from seedstability.stability.statistics.beta_binomial import (
    STABLE,
    UNSTABLE,
    BetaBinomial,
    Camps,
    beta_binomial_fit,
)
from seedstability.stability.statistics.jackknife import Interval, jackknife_statistic


def best_cosines(
    decoders: Float[Tensor, "S n d"], live: Bool[Tensor, "S n"] | None = None
) -> Float[Tensor, "S S n"]:
    """[s, t, i]: best signed cosine of latent i of seed s with any latent of seed t.

    NaN where s = t. Several thresholds can be applied to one result.

    Args:
        decoders: one dictionary per seed.
        live: latents that may serve as a partner; a dead one, still at its initialization, may
            not. Rows of dead latents are computed all the same. −1 if no latent of t is live.

    Raises:
        UserError: for fewer than two seeds.
    """
    if len(decoders) < 2:
        raise UserError(f"{len(decoders)} dictionary given; recurrence needs at least 2")
    n_seeds, n = len(decoders), len(decoders[0])
    best = torch.full((n_seeds, n_seeds, n), torch.nan)
    for s, t in all_pairs(n_seeds):
        if live is None:
            best[s, t], best[t, s], *_ = pairwise_best(decoders[s], decoders[t])
        else:
            best[s, t] = _best_of_live(decoders[s], decoders[t], live[t])
            best[t, s] = _best_of_live(decoders[t], decoders[s], live[s])
    return best


def recurrence_counts(best: Float[Tensor, "S S n"], threshold: float = 0.7) -> Int[Tensor, "S n"]:
    """Number of other seeds in which each latent has a cosine ≥ `threshold` (many-to-one)."""
    return (best >= threshold).sum(dim=1)  # NaN of the own seed compares false


def reproducibility(
    decoders: Float[Tensor, "S n d"], threshold: float = 0.7
) -> Float[Tensor, "S n"]:
    """Recurrence rate p̂: share of the other seeds in which each latent recurs.

    Its chance level is the same of drawn dictionaries (`null_models`);
    `closed_form.chance_reproducibility` has the closed form for isotropic ones.

    Raises:
        UserError: for fewer than two seeds.
    """
    return reproducibility_from_cosines(best_cosines(decoders), threshold)


def reproducibility_from_cosines(
    best: Float[Tensor, "S S n"], threshold: float = 0.7
) -> Float[Tensor, "S n"]:
    """Recurrence rate p̂ from `best_cosines` already computed."""
    return recurrence_counts(best, threshold).double() / (len(best) - 1)


def camps(p: Float[Tensor, "..."], live: Bool[Tensor, "..."] | None = None) -> Camps:
    """Shares of stable and unstable latents by p̂, among live latents if they are marked.

    Raises:
        UserError: when no latent is live.
    """
    p = p.flatten() if live is None else p[live]
    if p.numel() == 0:
        raise UserError("no latent is live; shares need at least 1 live latent")
    stable = (p >= STABLE).double().mean().item()
    unstable = (p <= UNSTABLE).double().mean().item()
    return Camps(stable, unstable, 1.0 - stable - unstable)


def firing(codes: Float[Tensor, "samples n"]) -> Float[Tensor, " n"]:
    """Firing rate: share of the samples on which each latent is not zero."""
    if codes.ndim != 2 or len(codes) == 0:
        raise UserError(f"codes have shape {tuple(codes.shape)}; need [samples, latents], not none")
    return (codes != 0).double().mean(dim=0)


def live(codes: Float[Tensor, "samples n"]) -> Bool[Tensor, " n"]:
    """Latents that fire at least once over the samples."""
    return firing(codes) > 0


def camps_over_seeds(
    best: Float[Tensor, "S S n"], threshold: float = 0.7, live: Bool[Tensor, "S n"] | None = None
) -> dict[str, Interval]:
    """Fitted stable and unstable shares and the mean p, with intervals over seeds.

    Leaving a seed out removes its latents and its counts, so the interval describes other seeds,
    not other latents of these seeds.

    Args:
        best: from `best_cosines`, three seeds or more.
        threshold: cosine from which a latent recurs.
        live: counts only the latents marked here.
    """

    @cache  # three measures need the same fits
    def fit(*seeds: int) -> BetaBinomial:
        some = torch.tensor(seeds)
        counts = recurrence_counts(best[some][:, some], threshold)
        kept = counts if live is None else counts[live[some]]
        return beta_binomial_fit(kept.numpy(), trials=len(seeds) - 1)

    measures = {
        "stable": lambda seeds: fit(*seeds).camps.stable,
        "unstable": lambda seeds: fit(*seeds).camps.unstable,
        "mean": lambda seeds: fit(*seeds).mean,
    }
    return {name: jackknife_statistic(f, len(best), group=2) for name, f in measures.items()}


def _best_of_live(A: Tensor, B: Tensor, live: Tensor) -> Tensor:
    # −1 if no latent is live: below every threshold.
    return pairwise_best(A, B[live]).rows if live.any() else torch.full((len(A),), -1.0)
