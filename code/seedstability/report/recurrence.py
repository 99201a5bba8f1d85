"""Recurrence of latents in the other dictionaries, with chance levels, for the report."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seedstability.report.estimates import entry, rounded
from seedstability.similarity.recorder import Recorder
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.recurrence import (
    camps,
    camps_over_seeds,
    compared_latents,
    recurrence_counts,
    reproducibility_from_cosines,
)
from seedstability.stability.statistics.beta_binomial import beta_binomial_fit
from seedstability.stability.statistics.jackknife import jackknife_statistic

THRESHOLDS = (0.5, 0.7, 0.9)
_MIN_SEEDS_FOR_FIT = 3


def thresholds(own: float) -> tuple[float, ...]:
    """The standard thresholds and the requested one."""
    return tuple(sorted({*THRESHOLDS, own}))


def reproducibility(
    best: Float[Tensor, "S S n"],
    recorder: Recorder,
    threshold: float,
    d: int,
    live: list[Bool[Tensor, " n"]] | None,
) -> dict:
    """Section `reproducibility` of the report: p̂ by threshold, fit, histogram of counts.

    Args:
        best: best signed cosine of each latent of s with any of t.
        recorder: with the recurrence of the chance levels.
        threshold: the requested one.
        d: width.
        live: masks of live latents.
    """
    n_seeds, there = len(best), compared_latents(best)
    counts = torch.bincount(recurrence_counts(best, threshold)[there], minlength=n_seeds)
    sizes = there.sum(dim=1).tolist()
    chances = {t: _chance(recorder, t, sizes, d) for t in recorder.thresholds}
    return {
        "threshold": threshold,
        "thresholds": {
            f"{t:g}": _shares(best, t) | {"chance": chances[t]} for t in recorder.thresholds
        },
        "live": _of_live(recorder, live),
        "fit": _fit(best, threshold),
        "histogram": {"votes": list(range(n_seeds)), "count": counts.tolist()},
    }


def reproducibility_per_latent(
    best: Float[Tensor, "S S n"], threshold: float
) -> Float[Tensor, "S n"]:
    """Recurrence rate p̂ of every latent; NaN where a dictionary has no such latent."""
    p = reproducibility_from_cosines(best, threshold)
    return p.masked_fill(~compared_latents(best), torch.nan)


def mean_over_others(values: Float[Tensor, "S S n"]) -> Float[Tensor, "S n"]:
    """Mean over the other dictionaries."""
    return values.double().nanmean(dim=1)


def searches(sizes: Sequence[int]) -> list[int]:
    """How many latents look for a partner in each dictionary: those of all the others."""
    return [sum(sizes) - n for n in sizes]


def _of_live(recorder: Recorder, live: list[Tensor] | None) -> dict | None:
    if live is None or recorder.best_of_live is None:
        return None
    masks = pad_sequence(live, batch_first=True)
    compared = ~recorder.best_of_live.isnan().all(dim=2)
    if not compared.any():
        return None
    return {f"{t:g}": _shares(recorder.best_of_live, t, masks) for t in recorder.thresholds}


def _shares(
    best: Float[Tensor, "S S n"], threshold: float, live: Bool[Tensor, "S n"] | None = None
) -> dict:
    """Mean p̂ and the shares of stable and unstable latents, with intervals over seeds."""
    recurs, compared = best >= threshold, ~best.isnan().all(dim=2)
    used = compared.any(dim=1).nonzero().flatten().numpy()
    latents = compared_latents(best) if live is None else live

    @cache  # four measures need the same
    def p(*seeds: int) -> Tensor:
        some = torch.tensor(seeds)
        others = compared[some][:, some].sum(dim=1)
        # Without the seed that is left out, another may have been compared with none.
        counts = recurs[some[others > 0]][:, some].sum(dim=1)
        values = counts.double() / others[others > 0, None]
        return values[latents[some[others > 0]]]

    def of(measure: Callable[[Tensor], float]) -> dict:
        def statistic(which: np.ndarray) -> float:
            values = p(*used[which].tolist())
            return measure(values) if len(values) else float("nan")

        interval = jackknife_statistic(statistic, len(used), group=2)
        return entry(interval, n_seeds=len(used))

    return {
        "mean": of(lambda values: values.mean().item()),
        "stable": of(lambda values: camps(values).stable),
        "unstable": of(lambda values: camps(values).unstable),
        "between": of(lambda values: camps(values).between),
    }


def _chance(recorder: Recorder, threshold: float, sizes: list[int], d: int) -> dict:
    in_others = [chance_reproducibility(n, d, threshold) for n in sizes]
    return {
        "isotropic": rounded(float(np.average(in_others, weights=searches(sizes)))),
        "untrained": rounded(recorder.recurrence("untrained", threshold)),
        "data": rounded(recorder.recurrence("data", threshold)),
        "gauge": rounded(recorder.recurrence("gauge", threshold)),
    }


def _fit(best: Float[Tensor, "S S n"], threshold: float) -> dict | None:
    """Beta-binomial fit to the counts, for three dictionaries or more."""
    n_seeds = len(best)
    if n_seeds < _MIN_SEEDS_FOR_FIT:
        return None
    counts = recurrence_counts(best, threshold)[compared_latents(best)]
    fit = beta_binomial_fit(counts.numpy(), n_seeds - 1)
    over_seeds = camps_over_seeds(best, threshold)
    return {
        "a": rounded(fit.a),
        "b": rounded(fit.b),
        "two_camps": fit.two_camps,
        **{name: entry(interval) for name, interval in over_seeds.items()},
    }
