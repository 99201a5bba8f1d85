"""Passes over all products of two dictionaries that find the few pairs an assignment may need."""

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
"""Kept at least for each row, and for each column from each stripe of rows."""
_ROUNDING = 4e-6
"""More than what float32 does to keys and bars, prices being at most a few units."""


class Pairs(NamedTuple):
    """Some pairs of a row of A and a row of B."""

    rows: Int32[np.ndarray, " m"]
    """Rows of A."""
    columns: Int32[np.ndarray, " m"]
    """Rows of B."""
    scores: Float64[np.ndarray, " m"]
    """Their products in double precision."""

    def kept(self, which: Bool[np.ndarray, " m"]) -> "Pairs":
        """Those marked."""
        return Pairs(self.rows[which], self.columns[which], self.scores[which])


class PricingResult(NamedTuple):
    """What a pricing pass has found, and up to where it has looked."""

    pairs: Pairs
    """The pairs found."""
    looked_above: Float64[np.ndarray, " r"]
    """For each row looked at: all pairs with S − price above this are among those found."""


class Buffers(NamedTuple):
    """The best partners so far of some rows or columns, by falling bars."""

    bars: Float32[np.ndarray, " n"]
    """What a key has to exceed."""
    keys: Float32[np.ndarray, "n capacity"]
    """S less the price of the other side, in no order."""
    partners: Int32[np.ndarray, "n capacity"]
    """Whose key it is."""
    counts: Int32[np.ndarray, " n"]
    """How many there are."""

    @classmethod
    def with_bars(cls, bars: Float32[np.ndarray, " n"], capacity: int) -> "Buffers":
        """Empty ones."""
        shape = (len(bars), capacity)
        return cls(
            bars,
            np.empty(shape, np.float32),
            np.empty(shape, np.int32),
            np.zeros(len(bars), np.int32),
        )

    def part(self, which: slice) -> "Buffers":
        """Views of some."""
        return Buffers(*(array[which] for array in self))

    def owners_and_partners(self) -> tuple[Int64[np.ndarray, " m"], Int32[np.ndarray, " m"]]:
        """All that is in them, owner after owner."""
        held = np.arange(self.partners.shape[1]) < self.counts[:, None]
        return np.repeat(np.arange(len(self.counts)), self.counts), self.partners[held]


class Passes:
    """Two dictionaries, ready to be multiplied again and again."""

    def __init__(
        self,
        A: Float32[Tensor, "n_a d"],
        B: Float32[Tensor, "n_b d"],
        method: Method,
        cores: int,
        device: str = "cpu",
    ):
        """Of unit rows; those of zeros have product 0 with all."""
        self.A, self.B = A, B
        self.cores, self.device = cores, device
        self.method: Method = method
        self._round()
        if not within_bounds(self._left, self._right, A, B, method):
            self.method = "float32"
            self._round()
        self.done = 0.0  # passes so far, a share of the rows counting as that share

    def _round(self) -> None:
        self._left = round_rows(self.A, self.method, self.device)
        self._right = round_rows(self.B, self.method, self.device)

    def candidates(self, progress: Progress) -> Pairs:
        """For each row and each column its largest products, less the mean of the other side.

        Without the means a few hubs, which resemble all, would be everybody's candidates. Row i
        with column i is among them, so that the graph has an assignment of all rows.
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
        """Pairs of some rows with S − price > `least`; of a row with many, the largest.

        Args:
            rows: which ones, ascending.
            least: above what, for each of them.
            column_prices: v.
            capacity: pairs that a row may find before it looks at the best half only.
            progress: told how far it is.
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
        """Pairs, given as row · n_b + column and ascending, with their scores."""
        rows, columns = np.divmod(keys, len(self.B))
        rows, columns = rows.astype(np.int32), columns.astype(np.int32)
        scores = np.empty(len(keys))
        left, right = self.A.numpy(), self.B.numpy()

        def score(part: slice) -> None:
            kernels.exact_products(left, right, rows[part], columns[part], scores[part])

        with ThreadPoolExecutor(self.cores) as pool:
            list(pool.map(score, stripes(len(keys))))
        return Pairs(rows, columns, scores)
