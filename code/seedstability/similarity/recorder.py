"""What a report keeps of each look that a measurement takes: matchings, distributions, votes."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.similarity.measures import Pair
from seedstability.stability.matching.match import Matching
from seedstability.stability.pairs import Partners

FINE_BINS = 400
"""Bins of width 0.005 from −1 to 1, from which coarser ones are made."""


class PairMatchings(NamedTuple):
    """The two matchings of a pair of dictionaries."""

    decoders: Matching
    encoders: Matching


class Recorder:
    """Sees every look of a measurement; hand `saw` to `measures.measure`."""

    def __init__(self, thresholds: tuple[float, ...], live: list[Tensor] | None):
        """Keep votes at these thresholds, and those of live latents where they are marked."""
        self.thresholds = thresholds
        self.matchings: dict[Pair, PairMatchings] = {}
        self._best: dict[str, Int[np.ndarray, " bins"]] = {}
        self._matched: dict[str, Int[np.ndarray, " bins"]] = {}
        self._found: dict[tuple[str, float], list[float]] = {}
        self._close: dict[tuple[str, float], list[float]] = {}
        self._live = live
        self.best_of_live: Float[Tensor, "S S n"] | None = None
        if live is not None:
            self.best_of_live = torch.full((len(live), len(live), len(live[0])), torch.nan)

    def saw(self, table: str, pair: Pair, decoders: Partners, encoders: Partners | None) -> None:
        """Keep what the report needs of it."""
        if table == "full" and encoders is not None:
            self.matchings[pair] = PairMatchings(decoders.matching, encoders.matching)
        if table == "live":
            self._keep_live(pair, decoders)
        both = torch.cat([decoders.best.rows, decoders.best.columns])
        matched = decoders.matching.matched_cosines
        _add(self._best, table, both)
        _add(self._matched, table, matched)
        for threshold in self.thresholds:
            key = table, threshold
            self._found.setdefault(key, []).append(_mean(both >= threshold))
            self._close.setdefault(key, []).append(_mean(matched > threshold))

    def found(self, table: str, threshold: float) -> float | None:
        """Share of latents whose best partner has a cosine of at least so much."""
        return _mean_of(self._found.get((table, threshold)))

    def close(self, table: str, threshold: float) -> float | None:
        """Share of latents whose one-to-one partner has a cosine above so much."""
        return _mean_of(self._close.get((table, threshold)))

    def best(self, table: str) -> Int[np.ndarray, " bins"] | None:
        """Latents by cosine with their best partner, in fine bins."""
        return self._best.get(table)

    def matched(self, table: str) -> Int[np.ndarray, " bins"] | None:
        """Latents by cosine with their one-to-one partner, in fine bins."""
        return self._matched.get(table)

    def _keep_live(self, pair: Pair, decoders: Partners) -> None:
        if self._live is None or self.best_of_live is None:
            return
        i, j = pair
        self.best_of_live[i, j, self._live[i]] = decoders.best.rows
        self.best_of_live[j, i, self._live[j]] = decoders.best.columns


def fine_counts(cosines: Float[Tensor, " some"]) -> Int[np.ndarray, " bins"]:
    """How many lie in each fine bin; rounding beyond ±1 counts as ±1."""
    values = cosines[torch.isfinite(cosines)].clamp(-1.0, 1.0).numpy()
    return np.histogram(values, FINE_BINS, (-1.0, 1.0))[0]


def _add(counts: dict[str, np.ndarray], table: str, cosines: Tensor) -> None:
    counts[table] = counts.get(table, 0) + fine_counts(cosines)


def _mean(mask: Tensor) -> float:
    return mask.double().mean().item()


def _mean_of(values: list[float] | None) -> float | None:
    return float(np.mean(values)) if values else None
