"""Two groups of dictionaries: how alike within each, and between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from seedstability.report.estimates import entry, rounded
from seedstability.report.levels import strongest
from seedstability.similarity.comparison import Comparison, chance_levels
from seedstability.similarity.names import SHARES
from seedstability.stability.statistics.jackknife import MIN_SEEDS, Interval, jackknife_statistic

MEASURES = ("max_cosine", "max_abs_cosine", "matched_mean", "shared", "shared_decoder_only")
_FEWEST = 3
"""Dictionaries of a group of which one can be left out and a pair remains."""


def groups(comparison: Comparison, members: Sequence[int]) -> dict[str, Any]:
    """Section `groups` of the report.

    Args:
        comparison: of all dictionaries, with every pair matched.
        members: the group of each dictionary, 0 or 1, at least two of each.

    Returns:
        By statistic: the mean over pairs within each group and between them; by how much the
        latter is larger than the mean of the former two; and the strongest chance level. Intervals
        leave out one dictionary of either group at a time; with fewer than five dictionaries, or
        three in a group, they are ranges of pairs.
    """
    of = np.asarray(members)
    return {
        "of": of.tolist(),
        "measures": {
            name: _measure(comparison, name, of) for name in MEASURES if name in comparison["full"]
        },
    }


def _measure(comparison: Comparison, name: str, of: Int[np.ndarray, " S"]) -> dict[str, Any]:
    values, scale = comparison["full"][name], 100.0 if name in SHARES else 1.0
    levels = chance_levels(comparison, name)
    level = strongest(levels)

    def within(group: int) -> Callable[[np.ndarray], float]:
        return lambda seeds: _mean(values, seeds[of[seeds] == group], seeds[of[seeds] == group])

    def between(seeds: np.ndarray) -> float:
        return _mean(values, seeds[of[seeds] == 0], seeds[of[seeds] == 1])

    def more(seeds: np.ndarray) -> float:
        return between(seeds) - (within(0)(seeds) + within(1)(seeds)) / 2

    return {
        "within": [entry(_interval(within(group), values, of), scale) for group in (0, 1)],
        "between": entry(_interval(between, values, of), scale),
        "difference": entry(_interval(more, values, of), scale),
        "unit": "%" if name in SHARES else "",
        "level": level,
        "chance": rounded(scale * float(np.nanmean(levels[level]))),
    }


def _mean(values: Float[np.ndarray, "S S"], rows: np.ndarray, columns: np.ndarray) -> float:
    some = values[np.ix_(rows, columns)]
    some = some[~np.isnan(some)]
    return float(some.mean()) if some.size else float("nan")


def _interval(
    statistic: Callable[[np.ndarray], float], values: np.ndarray, of: Int[np.ndarray, " S"]
) -> Interval:
    every = np.arange(len(of))
    if len(of) >= MIN_SEEDS and min(np.bincount(of)) >= _FEWEST:
        return jackknife_statistic(statistic, len(of))
    one_of_each = [[i, j] for i in every[of == 0] for j in every[of == 1]]
    left = [statistic(np.array([k for k in every if k not in pair])) for pair in one_of_each]
    known = [value for value in (statistic(every), *left) if np.isfinite(value)]
    label = "range without one of each group" if len(known) > 1 else "one value"
    nan = float("nan")
    return Interval(known[0], min(known), max(known), label, nan, nan, nan)


def sentence(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """The finding in words.

    Args:
        found: result of `groups`.
        names: labels of the dictionaries.
    """
    best = found["measures"]["max_cosine"]
    first, second = (
        ", ".join(name for name, group in zip(names, found["of"], strict=True) if group == which)
        for which in (0, 1)
    )
    low, high = best["difference"]["low"], best["difference"]["high"]
    return (
        f"The cosine with the best partner is {best['within'][0]['value']:.3f} within the first"
        f" group ({first}), {best['within'][1]['value']:.3f} within the second ({second}), and"
        f" {best['between']['value']:.3f} between them; {best['chance']:.3f} by chance"
        f" ({best['level']}). Between is {best['difference']['value']:+.3f} over within"
        f" [{low:+.3f}, {high:+.3f}], {best['difference']['interval']}."
    )
