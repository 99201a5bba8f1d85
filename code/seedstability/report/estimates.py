"""Estimates for `report.json` from matrices of pairs: value, interval, chance levels, κ."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from seedstability.similarity.comparison import Comparison, Scope
from seedstability.similarity.estimates import SimilarityEstimate, estimate_statistic
from seedstability.similarity.names import (
    ENCODER,
    LEVELS,
    SHARES,
    SIMILARITIES,
)
from seedstability.similarity.recorder import Recorder
from seedstability.stability.statistics.jackknife import Interval

SCOPES: tuple[Scope, ...] = ("full", "live", "span")
_DIGITS = 6
"""Significant digits: cosines are computed in single precision."""


def rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """Round to significant digits; `None` if the value is not finite."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def entry(interval: Interval, scale: float = 1.0, n_seeds: int = 0) -> dict:
    """Report entry of an interval.

    Args:
        interval: from `stability.statistics.jackknife`.
        scale: 100 for percent.
        n_seeds: with two there is one pair, and no range.
    """
    return {
        "value": rounded(scale * interval.mean),
        "low": rounded(scale * interval.low),
        "high": rounded(scale * interval.high),
        "interval": "one pair" if n_seeds == 2 else interval.label,
    }


def with_derived_levels(
    comparison: Comparison, recorder: Recorder, sizes: Sequence[int], threshold: float
) -> Comparison:
    """Add chance levels of encoders and of shares that follow from the sampled levels.

    Encoders of unrelated dictionaries have the same distribution as decoders. If a share q of
    matched latents is above the threshold by chance, a share q² / n is above it in both assignments
    with the same partner.
    """
    more: dict[str, Any] = dict(comparison)
    n = _larger(sizes)
    for table in ("isotropic", "data"):
        if table not in more:
            continue
        above = recorder.matched_above(table, threshold)
        assert above is not None  # every level is sampled at least once
        more[table] = {
            **more[table],
            "shared_decoder_only": above,
            "shared": above**2 / n,
            "agreeing": 1.0 / n,
        }
    for table in ("isotropic", "data", "isotropic_live", "isotropic_span"):
        if table in more:
            of_decoders = {k: v for k, v in more[table].items() if k not in SHARES}
            more[table] = more[table] | {f"{ENCODER}{k}": v for k, v in of_decoders.items()}
    return cast(Comparison, more)


def _larger(sizes: Sequence[int]) -> float | Float[np.ndarray, "S S"]:
    """Number of latents of the larger dictionary: one number, or one per pair if sizes differ."""
    if len({*sizes}) == 1:
        return sizes[0]
    larger = np.maximum.outer(sizes, sizes).astype(float)
    np.fill_diagonal(larger, np.nan)
    return larger


def measures(comparison: Comparison) -> dict:
    """Every statistic of every scope, with all available chance levels."""
    return {
        scope: {
            name: _measure(estimate, name in SHARES)
            for name in _ordered(comparison[scope])
            if (estimate := estimate_statistic(comparison, name, scope, some_seeds=True))
        }
        for scope in SCOPES
        if comparison.get(scope)
    }


def pairs(comparison: Comparison) -> dict:
    """Every statistic as an S × S table, `None` for a pair that was not compared."""
    return {
        scope: {
            name: [[rounded(value) for value in row] for row in comparison[scope][name].tolist()]
            for name in _ordered(comparison[scope])
        }
        for scope in SCOPES
        if comparison.get(scope)
    }


def kappa_interval90(comparison: Comparison, name: str) -> tuple[float, float] | None:
    """90% interval of κ against the strongest level, for equivalence; `None` below five seeds."""
    estimate = estimate_statistic(comparison, name, some_seeds=True)
    assert estimate is not None  # without a pair there is nothing to compare
    strongest = list(estimate.kappa.values())[-1]
    return None if np.isnan(strongest.low90) else (strongest.low90, strongest.high90)


def _measure(estimate: SimilarityEstimate, share: bool) -> dict:
    scale, n_seeds = (100.0 if share else 1.0), estimate.n_seeds
    return {
        **entry(estimate.value, scale, n_seeds),
        "unit": "%" if share else "",
        "chance": {
            level: rounded(scale * estimate.chance[level].mean)
            if level in estimate.chance
            else None
            for level in LEVELS
        },
        "kappa": {level: entry(kappa, n_seeds=n_seeds) for level, kappa in estimate.kappa.items()},
        "p_gauge": rounded(estimate.p_gauge),
    }


def _ordered(names: Mapping) -> list[str]:
    known = [*SIMILARITIES, *(f"{ENCODER}{name}" for name in SIMILARITIES)]
    return [name for name in known if name in names]
