"""Of each latent in how many other dictionaries it comes back, and what chance would give."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seedstability.report.estimates import estimate, rounded
from seedstability.similarity.recorder import Recorder
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.recurrence import (
    beta_binomial_fit,
    camps,
    camps_over_seeds,
    recurrence_counts,
    reproducibility_from_cosines,
)
from seedstability.stability.statistics.jackknife import jackknife_statistic

THRESHOLDS = (0.5, 0.7, 0.9)
_FEWEST_FOR_A_FIT = 3


def thresholds(own: float) -> tuple[float, ...]:
    """Those always given, and the one asked for."""
    return tuple(sorted({*THRESHOLDS, own}))


def reproducibility(
    best: Float[Tensor, "S S n"],
    observed: Recorder,
    threshold: float,
    d: int,
    live: list[Bool[Tensor, "n"]] | None,
) -> dict:
    """The section of the report: shares at several thresholds, the fit, the histogram of votes.

    Args:
        best: best signed cosine of each latent of s with any of t.
        observed: what chance gave.
        threshold: the one asked for.
        d: width.
        live: latents that fire.
    """
    n_seeds, _, n = best.shape
    counts = torch.bincount(recurrence_counts(best, threshold).flatten(), minlength=n_seeds)
    chances = {t: _chance(observed, t, n, d) for t in observed.thresholds}
    return {
        "threshold": threshold,
        "thresholds": {
            f"{t:g}": _shares(best, t) | {"chance": chances[t]} for t in observed.thresholds
        },
        "live": _of_live(observed, live),
        "fit": _fit(best, threshold),
        "histogram": {"votes": list(range(n_seeds)), "count": counts.tolist()},
    }


def reproducibility_per_latent(
    best: Float[Tensor, "S S n"], threshold: float
) -> Float[Tensor, "S n"]:
    """p̂ of every latent."""
    return reproducibility_from_cosines(best, threshold)


def mean_over_others(values: Float[Tensor, "S S n"]) -> Float[Tensor, "S n"]:
    """Mean over the other dictionaries."""
    return values.double().nanmean(dim=1)


def _of_live(observed: Recorder, live: list[Tensor] | None) -> dict | None:
    if live is None or observed.best_of_live is None:
        return None
    lives = torch.stack(live)
    looked = ~observed.best_of_live.isnan().all(dim=2)
    if not looked.any():
        return None
    return {f"{t:g}": _shares(observed.best_of_live, t, lives) for t in observed.thresholds}


def _shares(
    best: Float[Tensor, "S S n"], threshold: float, live: Bool[Tensor, "S n"] | None = None
) -> dict:
    """Mean p̂ and the shares of stable and unstable latents, with intervals over seeds."""
    there, looked = best >= threshold, ~best.isnan().all(dim=2)
    used = looked.any(dim=1).nonzero().flatten().numpy()
    latents = torch.ones_like(there[0]) if live is None else live

    @cache  # four measures ask for the same
    def p(*seeds: int) -> Tensor:
        some = torch.tensor(seeds)
        others = looked[some][:, some].sum(dim=1)
        # Without the seed that is left out another may have nobody that it was compared with.
        counts = there[some[others > 0]][:, some].sum(dim=1)
        values = counts.double() / others[others > 0, None]
        return values[latents[some[others > 0]]]

    def of(measure: Callable[[Tensor], float]) -> dict | None:
        def statistic(which: np.ndarray) -> float:
            values = p(*used[which].tolist())
            return measure(values) if len(values) else float("nan")

        interval = jackknife_statistic(statistic, len(used), group=2)
        return estimate(interval, n_seeds=len(used))

    return {
        "mean": of(lambda values: values.mean().item()),
        "stable": of(lambda values: camps(values).stable),
        "unstable": of(lambda values: camps(values).unstable),
        "between": of(lambda values: camps(values).between),
    }


def _chance(observed: Recorder, threshold: float, n: int, d: int) -> dict:
    return {
        "isotropic": rounded(chance_reproducibility(n, d, threshold)),
        "untrained": rounded(observed.found("untrained", threshold)),
        "data": rounded(observed.found("data", threshold)),
        "gauge": rounded(observed.found("gauge", threshold)),
    }


def _fit(best: Float[Tensor, "S S n"], threshold: float) -> dict | None:
    """The beta law behind the votes, for three dictionaries or more."""
    n_seeds = len(best)
    if n_seeds < _FEWEST_FOR_A_FIT:
        return None
    law = beta_binomial_fit(recurrence_counts(best, threshold), n_seeds - 1)
    over_seeds = camps_over_seeds(best, threshold)
    return {
        "a": rounded(law.a),
        "b": rounded(law.b),
        "two_camps": law.two_camps,
        **{name: estimate(interval) for name, interval in over_seeds.items()},
    }
