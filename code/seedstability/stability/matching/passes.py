"""Passes over all products of two dictionaries that select the pairs an assignment needs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from torch import Tensor

from seedstability.stability.kernels import candidates as kernels
from seedstability.stability.matching.blocks import (
    STRIPES,
    Method,
    relative_rounding,
    round_rows,
    stripes,
    visit_blocks,
    within_bounds,
)

Progress = Callable[[float], None]

_ROW_CANDIDATES, _COLUMN_CANDIDATES = 16, 4
"""Minimum number of candidates of each row, and of each column in each stripe of rows."""
_ROUNDING = 4e-6
"""Bound on the float32 rounding of keys and bars; prices are at most a few units."""


class Pairs(NamedTuple):
    """Candidate pairs of a row of A and a row of B."""

    rows: Int32[np.ndarray, " m"]
    """Rows of A."""
    columns: Int32[np.ndarray, " m"]
    """Rows of B."""
    scores: Float64[np.ndarray, " m"]
    """Their products in double precision."""

    def kept(self, which: Bool[np.ndarray, " m"]) -> "Pairs":
        """Select the marked pairs."""
        return Pairs(self.rows[which], self.columns[which], self.scores[which])


class PricingResult(NamedTuple):
    """Pairs found by a pricing pass, and above which value they are complete."""

    pairs: Pairs
    """The pairs found."""
    complete_above: Float64[np.ndarray, " r"]
    """For each row: all pairs with S − price above this value were found."""


class Buffers(NamedTuple):
    """Best partners so far of some rows or columns, above a rising bar."""

    bars: Float32[np.ndarray, " n"]
    """Bar that a key has to exceed."""
    keys: Float32[np.ndarray, "n capacity"]
    """S minus the price of the other side, unordered."""
    partners: Int32[np.ndarray, "n capacity"]
    """Partner of each key."""
    counts: Int32[np.ndarray, " n"]
    """Number of keys in each buffer."""

    @classmethod
    def with_bars(cls, bars: Float32[np.ndarray, " n"], capacity: int) -> "Buffers":
        """Create empty buffers."""
        shape = (len(bars), capacity)
        return cls(
            bars,
            np.empty(shape, np.float32),
            np.empty(shape, np.int32),
            np.zeros(len(bars), np.int32),
        )

    def part(self, which: slice) -> "Buffers":
        """Views of a slice of the buffers."""
        return Buffers(*(array[which] for array in self))

    def owners_and_partners(self) -> tuple[Int64[np.ndarray, " m"], Int32[np.ndarray, " m"]]:
        """All buffered pairs, ordered by owner."""
        held = np.arange(self.partners.shape[1]) < self.counts[:, None]
        return np.repeat(np.arange(len(self.counts)), self.counts), self.partners[held]


class Passes:
    """Two dictionaries, prepared for repeated passes over their products."""

    def __init__(
        self,
        A: Float32[Tensor, "n_a d"],
        B: Float32[Tensor, "n_b d"],
        method: Method,
        cores: int,
        device: str = "cpu",
    ):
        """Prepare unit rows; rows of zeros have product 0 with all."""
        self.A, self.B = A, B
        self.cores, self.device = cores, device
        self.method: Method = method
        self._round()
        if not within_bounds(self._left, self._right, A, B, method):
            self.method = "float32"
            self._round()
        self.done = 0.0  # passes so far; a pass over a share of the rows counts as that share

    def _round(self) -> None:
        self._left = round_rows(self.A, self.method, self.device)
        self._right = round_rows(self.B, self.method, self.device)

    def candidates(self, progress: Progress) -> Pairs:
        """Select the largest products of each row and column, minus the mean of the other side.

        Subtracting the mean prevents a few hubs, which are similar to all, from being every row's
        candidates. Row i with column i is included, so that all rows can be assigned.
        """
        n_a, n_b = len(self.A), len(self.B)
        row_prices = (self.A @ self.B.mean(dim=0)).numpy()
        column_prices = (self.B @ self.A.mean(dim=0)).numpy()
        lowest = np.float32(-1e30)
        of_rows = Buffers.with_bars(np.full(n_a, lowest), 2 * _ROW_CANDIDATES)
        of_columns = [
            Buffers.with_bars(np.full(n_b, lowest), 2 * _COLUMN_CANDIDATES) for _ in range(STRIPES)
        ]

        def visit(mine: Buffers, block: np.ndarray, i: slice, j: slice) -> None:
            left, right = of_rows.part(i), mine.part(j)
            kernels.add_both(
                block,
                i.start,
                j.start,
                (left.bars, row_prices[i], *left[1:]),
                (right.bars, column_prices[j], *right[1:]),
            )

        visits = [partial(visit, mine) for mine in of_columns[: len(stripes(n_a))]]
        visit_blocks(self._left, self._right, visits, self.cores, progress)
        self.done += 1
        rows, columns = of_rows.owners_and_partners()
        found = [rows * n_b + columns, np.arange(n_a) * (n_b + 1)]
        for mine in of_columns:
            columns, rows = mine.owners_and_partners()
            found.append(rows.astype(np.int64) * n_b + columns)
        return self._scored(np.unique(np.concatenate(found)))

    def price(
        self,
        rows: Int64[np.ndarray, " r"],
        least: Float64[np.ndarray, " r"],
        column_prices: Float64[np.ndarray, " n_b"],
        capacity: int,
        progress: Progress,
    ) -> PricingResult:
        """Find the pairs with S − price > `least`, or the largest of them if a row has many.

        Args:
            rows: indices of the rows to price, ascending.
            least: lower bound for each of these rows.
            column_prices: v.
            capacity: pairs per row; a full row keeps only the best half.
            progress: receives the share that is done.
        """
        B = self._right
        A = self._left if len(rows) == len(self.A) else self._left.kept(rows)
        margins = A.margins.astype(np.float64) + _ROUNDING
        buffers = Buffers.with_bars((least - margins).astype(np.float32), capacity)
        # A product may be larger than computed: by its row's and its column's margin.
        prices = (column_prices - B.margins).astype(np.float32)

        def visit(block: np.ndarray, i: slice, j: slice) -> None:
            kernels.add_rows(
                block,
                i.start,
                j.start,
                np.float32(relative_rounding(self.method)),
                prices[j],
                *buffers.part(i),
            )

        visit_blocks(A, B, [visit] * len(stripes(len(rows))), self.cores, progress)
        self.done += len(rows) / len(self.A)
        owners, partners = buffers.owners_and_partners()
        pairs = self._scored(np.sort(rows[owners] * len(self.B) + partners))
        return PricingResult(pairs, buffers.bars + margins)

    def _scored(self, keys: Int64[np.ndarray, " m"]) -> Pairs:
        """Compute the scores of pairs given as row · n_b + column, ascending."""
        rows, columns = np.divmod(keys, len(self.B))
        rows, columns = rows.astype(np.int32), columns.astype(np.int32)
        scores = np.empty(len(keys))
        left, right = self.A.numpy(), self.B.numpy()

        def score(part: slice) -> None:
            kernels.exact_products(left, right, rows[part], columns[part], scores[part])

        with ThreadPoolExecutor(self.cores) as pool:
            list(pool.map(score, stripes(len(keys))))
        return Pairs(rows, columns, scores)
