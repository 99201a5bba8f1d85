"""Estimates for `report.json` from matrices of pairs: value, interval, chance levels, κ."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from seedstability.similarity.comparison import Chance, Comparison, Scope, chance_levels
from seedstability.similarity.names import (
    ENCODER,
    LEVELS,
    SHARES,
    SIMILARITIES,
)
from seedstability.similarity.recorder import Recorder
from seedstability.stability.statistics.jackknife import Interval, jackknife, jackknife_kappa

SCOPES: tuple[Scope, ...] = ("full", "live", "span")
CORRECTED = ("isotropic", "data", "gauge")
"""Chance levels for κ, weakest first; with a shared initialization the untrained level is 1."""
_DIGITS = 6
"""Significant digits: cosines are computed in single precision."""


def rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """Round to significant digits; `None` if the value is not finite."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def estimate(interval: Interval | None, scale: float = 1.0, n_seeds: int = 0) -> dict | None:
    """Report entry of an interval; `None` without an interval.

    Args:
        interval: from `stability.statistics.jackknife`.
        scale: 100 for percent.
        n_seeds: with two there is one pair, and no range.
    """
    if interval is None:
        return None
    low, high = scale * interval.low, scale * interval.high
    label = "one pair" if n_seeds == 2 else interval.label
    return {
        "value": rounded(scale * interval.mean),
        "low": rounded(low),
        "high": rounded(high),
        "interval": label,
    }


def over_pairs(values: np.ndarray, chance: Any = None, scale: float = 1.0) -> dict | None:
    """Mean over pairs, or its κ if a chance level is given, with its interval.

    Args:
        values: [S, S], NaN for a pair that was not compared.
        chance: one number, or [S, S].
        scale: 100 for percent.
    """
    used = ~np.isnan(values).all(axis=1)
    if used.sum() < 2:
        return None
    values = values[np.ix_(used, used)]
    if isinstance(chance, np.ndarray):
        chance = _alike(chance[np.ix_(used, used)])
    interval = jackknife(values) if chance is None else jackknife_kappa(values, chance)
    return estimate(interval, scale, int(used.sum()))


def with_derived_levels(
    comparison: Comparison, recorder: Recorder, n: int, threshold: float
) -> Comparison:
    """Add chance levels of encoders and of shares that follow from the sampled levels.

    Encoders of unrelated dictionaries have the same distribution as decoders. If a share q of
    matched latents is above the threshold by chance, a share q² / n is above it in both assignments
    with the same partner.
    """
    more: dict[str, Any] = dict(comparison)
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


def measures(comparison: Comparison) -> dict:
    """Every statistic of every scope, with all available chance levels."""
    return {
        scope: {
            name: measure
            for name in _ordered(comparison[scope])
            if (measure := _measure(comparison, scope, name)) is not None
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
    levels = chance_levels(comparison, name)
    level = [levels[level] for level in CORRECTED if level in levels][-1]
    values = comparison["full"][name]
    interval = jackknife_kappa(values, _alike(level))
    return None if np.isnan(interval.low90) else (interval.low90, interval.high90)


def _measure(comparison: Comparison, scope: Scope, name: str) -> dict | None:
    values = comparison[scope][name]
    scale, unit = (100.0, "%") if name in SHARES else (1.0, "")
    value = over_pairs(values, scale=scale)
    if value is None:
        return None
    levels = chance_levels(comparison, name, scope=scope)
    p = comparison.get("p_gauge", {}).get(name) if scope == "full" else None
    return {
        **value,
        "unit": unit,
        "chance": {
            level: rounded(scale * float(np.nanmean(levels[level]))) if level in levels else None
            for level in LEVELS
        },
        "kappa": {
            level: over_pairs(values, levels[level]) for level in CORRECTED if level in levels
        },
        "p_gauge": rounded(p),
    }


def _alike(chance: Chance) -> Chance:
    """The mean level if some seed is in no pair with a level, else the level itself."""
    if isinstance(chance, np.ndarray) and np.isnan(chance).all(axis=1).any():
        return float(np.nanmean(chance))
    return chance


def _ordered(names: Mapping) -> list[str]:
    known = [*SIMILARITIES, *(f"{ENCODER}{name}" for name in SIMILARITIES)]
    return [name for name in known if name in names]
