"""The best assignment among given pairs, with its prices, and again after more pairs came."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64

from seedstability.stability.kernels import assignment as kernels
from seedstability.stability.matching.passes import Pairs

_STEP = 2e-5
"""A bid is raised by so much where all columns will be assigned: rows that like the same columns
equally would else outbid each other by nothing for long. What it costs is put right afterwards."""
_BIDS_A_ROW = 100
"""Between rows that like the same columns equally bids would go on for ever; paths settle that."""
_EXACT = 1e-13
"""Differences of profits that are rounding."""


class Graph(NamedTuple):
    """The pairs in hand, row after row."""

    starts: Int64[np.ndarray, " n_a+1"]
    """Where each row's pairs begin."""
    columns: Int32[np.ndarray, " m"]
    """Their columns, ascending in each row."""
    scores: Float64[np.ndarray, " m"]
    """Their products."""

    @classmethod
    def of(cls, pairs: Pairs, n_a: int) -> "Graph":
        """From pairs sorted by row and column."""
        starts = np.zeros(n_a + 1, np.int64)
        np.cumsum(np.bincount(pairs.rows, minlength=n_a), out=starts[1:])
        return cls(starts, pairs.columns, pairs.scores)


def merge_pairs(pairs: Pairs, more: Pairs, n_b: int) -> Pairs:
    """Pairs of both, each once, sorted."""
    rows, columns, scores = (np.concatenate(both) for both in zip(pairs, more, strict=True))
    _, first = np.unique(rows.astype(np.int64) * n_b + columns, return_index=True)
    return Pairs(rows[first], columns[first], scores[first])


class Assignment:
    """Rows on columns, and what each column costs; see `kernels.assignment`."""

    def __init__(self, n_a: int, start_prices: Float64[np.ndarray, " n_b"]):
        """Nothing assigned yet. With more columns than rows, prices have to start at 0."""
        self.prices = start_prices.copy()
        self.columns = np.full(n_a, -1, np.int32)
        self.rows = np.full(len(start_prices), -1, np.int32)

    @property
    def square(self) -> bool:
        """Whether all columns will be assigned, so that any start prices will do."""
        return len(self.columns) == len(self.rows)

    def solve(self, graph: Graph) -> None:
        """The best assignment on the graph. Prices of an earlier one are where it starts."""
        most = _BIDS_A_ROW * len(self.columns)
        if self.square:
            self._give_up(graph)
            kernels.bid(*graph, self.prices, self.columns, self.rows, _STEP, most)
            self._give_up(graph)
        else:
            # a column that was given up would not be free of charge
            self.prices[:], self.columns[:], self.rows[:] = 0.0, -1, -1
            kernels.bid(*graph, self.prices, self.columns, self.rows, 0.0, most)
        unplaced = kernels.augment(*graph, self.prices, self.columns, self.rows)
        assert not unplaced, "row i with column i is in the graph, so each row can be placed"

    def row_prices(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """u, each row's largest profit."""
        return self._profits(graph)[0]

    def cosines(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """Of the assigned pairs."""
        return self._profits(graph)[1]

    def share_slack(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """Lower assigned columns' prices as `kernels.share_slack`; returns the new row prices."""
        best = self.row_prices(graph)
        lowest = -np.inf if self.square else 0.0
        kernels.share_slack(*graph, self.prices, self.columns, best, lowest)
        return best

    def give_back(
        self,
        graph: Graph,
        wanted: Float64[np.ndarray, " n_a"],
        before: Float64[np.ndarray, " n_b"],
    ) -> Float64[np.ndarray, " n_a"]:
        """Raise row prices towards `wanted`, column prices falling to those `before` at most.

        Solving again lifts the prices of whole groups of columns that only each other's rows want,
        and nothing says by how much. Returns the new row prices.
        """
        best = self.row_prices(graph)
        risen = (self.prices - before)[self.columns]
        room = np.clip(np.minimum(wanted - best, risen), 0.0, None)
        kernels.raise_row_prices(*graph, self.prices, self.columns, self.rows, best, room)
        return best

    def _profits(self, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
        best, assigned = np.empty(len(self.columns)), np.empty(len(self.columns))
        kernels.profits(*graph, self.prices, self.columns, best, assigned)
        return best, assigned

    def _give_up(self, graph: Graph) -> None:
        kernels.unassign_suboptimal(*graph, self.prices, self.columns, self.rows, _EXACT)
