"""Chance levels of definitions.md §2 for a set of dictionaries, and gauge p-values."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from seedstability.progress import report, step
from seedstability.side_by_side import side_by_side
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.names import BEST
from seedstability.similarity.pairs import (
    Statistics,
    Weights,
    best_partner_statistics,
    partner_statistics,
)
from seedstability.stability.chance.closed_form import chance_level_pair
from seedstability.stability.chance.null_models import (
    GaugeBasis,
    gauge_symmetry,
    isotropic,
    spread_directions,
    square_root,
)
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.matching.nearest import best_cosines_of_units
from seedstability.stability.pairs import Partners, find_partners

_SMALL = 2048
"""Latents up to which pairs are matched side by side: larger ones use all threads each."""


def isotropic_closed_form(n_a: int, n_b: int, d: int) -> Statistics:
    """Isotropic level of best-partner statistics, in closed form."""
    if min(n_a, n_b) < 1 or d < 2:
        return {}
    return {kind: chance_level_pair(n_a, n_b, d, kind) for kind in BEST}


def isotropic_level(
    n: int,
    d: int,
    draws: int,
    generator: Generator,
    record: Callable[[Partners], None] | None = None,
    n_other: int | None = None,
) -> Statistics:
    """Isotropic level of all decoder statistics: closed form if there is one, else sampled.

    Two assignments of unrelated rows agree on a latent with probability one in the larger number of
    rows. They practically never share it, at a cosine above 0.7, at the sizes used here.

    Args:
        n: number of latents.
        d: width.
        draws: number of sampled pairs.
        generator: for these.
        record: called with the partners of each.
        n_other: number of latents of the other dictionary, if another.
    """
    m = n_other or n
    drawn = _drawn(lambda size: isotropic(size, d, generator), (n, m), draws, record)
    return {**drawn, **isotropic_closed_form(n, m, d), "agreeing": 1.0 / max(n, m)}


def data_level(
    covariance: Float[Tensor, "d d"],
    n: int,
    draws: int,
    generator: Generator,
    record: Callable[[Partners], None] | None = None,
    n_other: int | None = None,
) -> Statistics:
    """Level `data`: random directions with the covariance of the activations."""
    sizes, root = (n, n_other or n), square_root(covariance)
    return _drawn(lambda size: spread_directions(size, root, generator), sizes, draws, record)


def covariance_of(x: Float[Tensor, "samples d"]) -> Float[Tensor, "d d"]:
    """Covariance of activations, accumulated in double precision."""
    return torch.cov(x.T.double()).float()


def gauge_p_values(
    dictionaries: Sequence[Weights],
    gauge: GaugeBasis,
    config: ComparisonConfig,
    generator: Generator,
) -> Statistics:
    """One-sided p-values of the best-partner statistics, (1 + draws that reach it) / (1 + draws).

    Where a statistic was reached `enough_exceedances` times, its p-value is that number over the
    draws so far (Besag & Clifford, 1991, Biometrika 78, 301–304).

    The statistic is the mean over neighboring pairs. In each draw the second dictionary of every
    pair is gauge-scrambled independently. Cosines are taken between coordinates on the components,
    which a scramble only turns.
    """
    chosen = [(i, (i + 1) % len(dictionaries)) for i in range(len(dictionaries))]
    chosen = chosen[: config.permuted_pairs]
    units = {
        seed: normalize_rows(dictionaries[seed].decoder.double() @ gauge.directions.T).float()
        for seed in {seed for pair in chosen for seed in pair}
    }

    def statistic(change: Callable[[Tensor], Tensor]) -> Statistics:
        return mean_statistics(
            best_partner_statistics(best_cosines_of_units(units[i], change(units[j])))
            for i, j in chosen
        )

    observed = statistic(lambda rows: rows)
    reached = dict.fromkeys(observed, 0)
    enough: Statistics = {}
    for draw in range(1, config.permutations + 1):
        null = statistic(lambda rows: gauge_symmetry(gauge, generator).apply(rows))
        for name, value in observed.items():
            reached[name] += null[name] >= value
            if reached[name] == config.enough_exceedances:
                enough.setdefault(name, reached[name] / draw)
        report(draw, config.permutations)
        if len(enough) == len(observed):
            break
    every = {name: (1 + count) / (1 + config.permutations) for name, count in reached.items()}
    return every | enough


def mean_statistics(draws: Iterable[Statistics]) -> Statistics:
    """Mean of each statistic."""
    draws = list(draws)
    return {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}


def _drawn(
    draw: Callable[[int], Tensor],
    sizes: tuple[int, int],
    draws: int,
    record: Callable[[Partners], None] | None,
) -> Statistics:
    few = torch.get_num_threads() if max(sizes) <= _SMALL else 1
    samples: list[Statistics] = []
    for done in range(0, draws, few):
        with step(done, draws):
            # Drawn one after the other, in the generator's order; matched side by side.
            pairs = [(draw(sizes[0]), draw(sizes[1])) for _ in range(min(few, draws - done))]
            found = side_by_side([partial(find_partners, *pair) for pair in pairs])
        for partners in found:
            if record:
                record(partners)
            samples.append(partner_statistics(partners))
    return mean_statistics(samples)
