"""Recorder of what the report needs of each compared pair: matchings, histograms, recurrence."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.similarity.measures import Pair
from seedstability.similarity.names import ENCODER
from seedstability.stability.matching.match import Matching
from seedstability.stability.pairs import Partners

FINE_BINS = 400
"""Number of histogram bins from −1 to 1, of width 0.005; plots merge them."""


class PairMatchings(NamedTuple):
    """Decoder and encoder matchings of a pair of dictionaries."""

    decoders: Matching
    encoders: Matching | None

    def named(self) -> list[tuple[str, Matching]]:
        """Those there are, with the prefix of their arrays."""
        both = (("", self.decoders), (ENCODER, self.encoders))
        return [(prefix, matching) for prefix, matching in both if matching is not None]


class Recorder:
    """Records partners during a measurement; pass `record` to `measures.measure`."""

    def __init__(self, thresholds: tuple[float, ...], live: list[Tensor] | None):
        """Record recurrence at these thresholds, and best cosines of live latents if marked."""
        self.thresholds = thresholds
        self.matchings: dict[Pair, PairMatchings] = {}
        self._best: dict[str, Int[np.ndarray, " bins"]] = {}
        self._matched: dict[str, Int[np.ndarray, " bins"]] = {}
        self._recurring: dict[tuple[str, float], list[float]] = {}
        self._matched_above: dict[tuple[str, float], list[float]] = {}
        self._live = live
        self.best_of_live: Float[Tensor, "S S n"] | None = None
        if live is not None:
            self.best_of_live = torch.full((len(live), len(live), max(map(len, live))), torch.nan)

    def record(self, table: str, pair: Pair, decoders: Partners, encoders: Partners | None) -> None:
        """Record the partners of one pair.

        Args:
            table: which level or scope the pair belongs to, as in the result of `measure`.
            pair: seeds of the two dictionaries.
            decoders, encoders: partners of the two.
        """
        if table == "full":
            self.matchings[pair] = PairMatchings(
                decoders.matching, encoders.matching if encoders else None
            )
        if table == "live":
            self._record_live(pair, decoders)
        both = torch.cat([decoders.best.rows, decoders.best.columns])
        matched = decoders.matching.matched_cosines
        _add(self._best, table, both)
        _add(self._matched, table, matched)
        for threshold in self.thresholds:
            key = table, threshold
            self._recurring.setdefault(key, []).append(_mean(both >= threshold))
            self._matched_above.setdefault(key, []).append(_mean(matched > threshold))

    def recurrence(self, table: str, threshold: float) -> float | None:
        """Share of latents with a best cosine of at least `threshold`."""
        return _mean_of(self._recurring.get((table, threshold)))

    def matched_above(self, table: str, threshold: float) -> float | None:
        """Share of latents with a matched cosine above `threshold`."""
        return _mean_of(self._matched_above.get((table, threshold)))

    def best_counts(self, table: str) -> Int[np.ndarray, " bins"] | None:
        """Histogram of best cosines in fine bins."""
        return self._best.get(table)

    def matched_counts(self, table: str) -> Int[np.ndarray, " bins"] | None:
        """Histogram of matched cosines in fine bins."""
        return self._matched.get(table)

    def _record_live(self, pair: Pair, decoders: Partners) -> None:
        if self._live is None or self.best_of_live is None:
            return
        i, j = pair
        for s, t, best in ((i, j, decoders.best.rows), (j, i, decoders.best.columns)):
            self.best_of_live[s, t, self._live[s].nonzero().flatten()] = best


def fine_counts(cosines: Float[Tensor, " some"]) -> Int[np.ndarray, " bins"]:
    """Histogram of cosines in fine bins; values beyond ±1 by rounding count as ±1."""
    values = cosines[torch.isfinite(cosines)].clamp(-1.0, 1.0).numpy()
    return np.histogram(values, FINE_BINS, (-1.0, 1.0))[0]


def _add(counts: dict[str, np.ndarray], table: str, cosines: Tensor) -> None:
    counts[table] = counts.get(table, 0) + fine_counts(cosines)


def _mean(mask: Tensor) -> float:
    return mask.double().mean().item()


def _mean_of(values: list[float] | None) -> float | None:
    return float(np.mean(values)) if values else None
