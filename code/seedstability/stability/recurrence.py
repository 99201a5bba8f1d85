"""Recurrence of single latents across seeds: recurrence rate p̂, stable and unstable.

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


def best_cosines(decoders: Float[Tensor, "S n d"]) -> Float[Tensor, "S S n"]:
    """[s, t, i]: best signed cosine of latent i of seed s with any latent of seed t.

    NaN where s = t. Several thresholds can be applied to one result.

    Raises:
        UserError: for fewer than two seeds.
    """
    if len(decoders) < 2:
        raise UserError(f"{len(decoders)} dictionary given; recurrence needs at least 2")
    n_seeds, n = len(decoders), len(decoders[0])
    best = torch.full((n_seeds, n_seeds, n), torch.nan)
    for s, t in all_pairs(n_seeds):
        best[s, t], best[t, s], *_ = pairwise_best(decoders[s], decoders[t])
    return best


def recurrence_counts(best: Float[Tensor, "S S n"], threshold: float = 0.7) -> Int[Tensor, "S n"]:
    """Number of other seeds in which each latent has a cosine ≥ `threshold` (many-to-one)."""
    return (best >= threshold).sum(dim=1)  # NaN of the own seed compares false


def compared_latents(best: Float[Tensor, "S S n"]) -> Bool[Tensor, "S n"]:
    """Mask of the latents that have a cosine with some other seed; smaller dictionaries have
    fewer."""
    return ~best.isnan().all(dim=1)


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


def camps(p: Float[Tensor, "..."]) -> Camps:
    """Shares of stable and unstable latents by p̂.

    Raises:
        UserError: for no latents.
    """
    if p.numel() == 0:
        raise UserError("no latent is live; shares need at least 1 live latent")
    stable = (p >= STABLE).double().mean().item()
    unstable = (p <= UNSTABLE).double().mean().item()
    return Camps(stable, unstable, 1.0 - stable - unstable)


def camps_over_seeds(best: Float[Tensor, "S S n"], threshold: float = 0.7) -> dict[str, Interval]:
    """Fitted stable and unstable shares and the mean p, with intervals over seeds.

    Leaving a seed out removes its latents and its counts, so the interval describes other seeds,
    not other latents of these seeds.

    Args:
        best: from `best_cosines`, three seeds or more.
        threshold: cosine from which a latent recurs.
    """

    there = compared_latents(best)

    @cache  # three measures need the same fits
    def fit(*seeds: int) -> BetaBinomial:
        some = torch.tensor(seeds)
        counts = recurrence_counts(best[some][:, some], threshold)
        return beta_binomial_fit(counts[there[some]].numpy(), trials=len(seeds) - 1)

    measures = {
        "stable": lambda seeds: fit(*seeds).camps.stable,
        "unstable": lambda seeds: fit(*seeds).camps.unstable,
        "mean": lambda seeds: fit(*seeds).mean,
    }
    return {name: jackknife_statistic(f, len(best), group=2) for name, f in measures.items()}
