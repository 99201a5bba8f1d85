"""Optimal assignment among given pairs, with dual prices and warm starts after adding pairs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64

from seedstability.stability.kernels import assignment as kernels
from seedstability.stability.matching.passes import Pairs

_STEP = 2e-5
"""Minimum raise of a bid if all columns will be assigned: without it, rows with equal profits would
outbid each other by zero for long. The resulting error is corrected afterwards."""
_BIDS_PER_ROW = 100
"""Rows with equal profits would bid forever; augmenting paths resolve such ties."""
_EXACT = 1e-13
"""Differences of profits up to this are rounding."""


class Graph(NamedTuple):
    """Candidate pairs in CSR form."""

    starts: Int64[np.ndarray, " n_a+1"]
    """Start of each row's pairs."""
    columns: Int32[np.ndarray, " m"]
    """Columns of the pairs, ascending in each row."""
    scores: Float64[np.ndarray, " m"]
    """Products of the pairs."""

    @classmethod
    def from_pairs(cls, pairs: Pairs, n_a: int) -> "Graph":
        """Build the graph of pairs sorted by row and column."""
        starts = np.zeros(n_a + 1, np.int64)
        np.cumsum(np.bincount(pairs.rows, minlength=n_a), out=starts[1:])
        return cls(starts, pairs.columns, pairs.scores)


def merge_pairs(pairs: Pairs, more: Pairs, n_b: int) -> Pairs:
    """Union of both, sorted by row and column."""
    rows, columns, scores = (np.concatenate(both) for both in zip(pairs, more, strict=True))
    _, first = np.unique(rows.astype(np.int64) * n_b + columns, return_index=True)
    return Pairs(rows[first], columns[first], scores[first])


class Assignment:
    """Assignment of rows to columns with column prices; see `kernels.assignment`."""

    def __init__(self, n_a: int, start_prices: Float64[np.ndarray, " n_b"]):
        """Start with no row assigned. With more columns than rows, prices must start at 0."""
        self.prices = start_prices.copy()
        self.columns = np.full(n_a, -1, np.int32)
        self.rows = np.full(len(start_prices), -1, np.int32)

    @property
    def square(self) -> bool:
        """Whether all columns will be assigned, which allows any initial prices."""
        return len(self.columns) == len(self.rows)

    def solve(self, graph: Graph) -> None:
        """Find the optimal assignment on the graph, starting from the current prices."""
        most = _BIDS_PER_ROW * len(self.columns)
        if self.square:
            self._unassign_suboptimal(graph)
            kernels.bid(*graph, self.prices, self.columns, self.rows, _STEP, most)
            self._unassign_suboptimal(graph)
        else:
            # an unassigned column would keep a price above 0
            self.prices[:], self.columns[:], self.rows[:] = 0.0, -1, -1
            kernels.bid(*graph, self.prices, self.columns, self.rows, 0.0, most)
        unplaced = kernels.augment(*graph, self.prices, self.columns, self.rows)
        assert not unplaced, "row i with column i is in the graph, so each row can be placed"

    def row_prices(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """Row prices u: each row's largest profit."""
        return self._profits(graph)[0]

    def cosines(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """Scores of the assigned pairs."""
        return self._profits(graph)[1]

    def share_slack(self, graph: Graph) -> Float64[np.ndarray, " n_a"]:
        """Lower assigned columns' prices as `kernels.share_slack`; return the new row prices."""
        best = self.row_prices(graph)
        lowest = -np.inf if self.square else 0.0
        kernels.share_slack(*graph, self.prices, self.columns, best, lowest)
        return best

    def raise_row_prices(
        self,
        graph: Graph,
        wanted: Float64[np.ndarray, " n_a"],
        before: Float64[np.ndarray, " n_b"],
    ) -> Float64[np.ndarray, " n_a"]:
        """Raise row prices towards `wanted` and lower column prices to `before` at most.

        Solving again raises the prices of whole groups of columns that only their own rows want,
        by an arbitrary amount. Return the new row prices.
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

    def _unassign_suboptimal(self, graph: Graph) -> None:
        kernels.unassign_suboptimal(*graph, self.prices, self.columns, self.rows, _EXACT)
