"""All products of two dictionaries, a block at a time, with a bound on how far each is off.

Nothing as large as n × n is ever held. A block is computed by torch in one of two ways:

- `float32`: off by at most d · 2⁻²⁴ · ‖a‖ ‖b‖, whatever the order of summation;
- `bfloat16`: of rows rounded to 8 bits, on processors that multiply those several times as fast.
  With ã, b̃ the rounded rows, |a·b − ã·b̃| ≤ ‖a − ã‖ ‖b‖ + ‖ã‖ ‖b − b̃‖ (Cauchy & Schwarz), and
  both residuals are measured; sums are kept in float32 and come out rounded to bfloat16.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from threading import Event
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

Method = Literal["float32", "bfloat16"]
Visit = Callable[[Float32[np.ndarray, "h w"], slice, slice], None]

STRIPES = 4
"""Parts into which rows are dealt for threads. Fixed, so that no result depends on the cores."""
_HEIGHT, _WIDTH = 512, 1024
"""A block and the rows behind it stay in a core's cache. On a card, where a block has to be
brought over, blocks are 8 times as high and wide."""
_UNIT = 2.0**-24
_BFLOAT16_OUT = 2.0**-8 * 1.01


@dataclass(frozen=True)
class RoundedRows:
    """Unit rows as they are multiplied."""

    rows: Float[Tensor, "n d"]
    """In the type of the product, on its device."""
    margins: Float32[np.ndarray, " n"]
    """This side's part of the bound on a product's error."""

    def kept(self, which: Int64[np.ndarray, " m"]) -> "Rounded":
        """Some of the rows."""
        return RoundedRows(self.rows[torch.from_numpy(which)], self.margins[which])


def round_rows(X: Float32[Tensor, "n d"], method: Method, device: str = "cpu") -> RoundedRows:
    """Unit rows `X` as `method` multiplies them, with the error's bound of each."""
    sums = X.shape[1] * _UNIT * 1.01  # half of the bound of a sum taken in any order, twice over
    if method == "float32":
        return RoundedRows(X.to(device), np.full(len(X), sums, np.float32))
    short, margins = torch.empty(X.shape, dtype=torch.bfloat16), np.empty(len(X), np.float32)
    for first in range(0, len(X), 8192):
        part = slice(first, first + 8192)
        short[part] = X[part]
        residuals = (X[part] - short[part].float()).norm(dim=1)
        margins[part] = 1.01 * residuals.numpy() + sums
    return RoundedRows(short.to(device), margins)


def relative_rounding(method: Method) -> float:
    """By how much of its size a product may have shrunk when it came out rounded."""
    return _BFLOAT16_OUT if method == "bfloat16" else 0.0


@cache
def faster_method(d: int, device: str = "cpu") -> Method:
    """The way to multiply that is faster by half at least, tried once on one block.

    The result is the same either way; only where time goes is decided here.
    """
    if device != "cpu":
        return "float32"

    left, right = torch.ones(_HEIGHT, d), torch.ones(_WIDTH, d)
    short_left, short_right = left.bfloat16(), right.bfloat16()

    def seconds(multiply: Callable[[], Tensor]) -> float:
        start = time.perf_counter()
        multiply()
        return time.perf_counter() - start

    # In turns, and the best of several, so that a moment's load decides nothing.
    tries = [
        (seconds(lambda: left @ right.T), seconds(lambda: (short_left @ short_right.T).float()))
        for _ in range(8)
    ]
    single, short = map(min, zip(*tries, strict=True))
    return "bfloat16" if 1.5 * short < single else "float32"


def within_bounds(
    rounded_a: RoundedRows, rounded_b: RoundedRows, A: Tensor, B: Tensor, method: Method
) -> bool:
    """Whether the bounds hold for the first rows' products, computed again in double precision.

    They do unless a library keeps its sums in less than float32, as none that we know does.
    """
    h, w = 64, 1024
    computed = (rounded_a.rows[:h] @ rounded_b.rows[:w].T).cpu().double()
    off = (computed - A[:h].double() @ B[:w].double().T).abs()
    margins = rounded_a.margins[:h, None] + rounded_b.margins[:w]
    return bool(
        (off <= torch.from_numpy(margins) + relative_rounding(method) * computed.abs()).all()
    )


def stripes(n: int) -> list[slice]:
    """The rows of each part."""
    ends = np.linspace(0, n, STRIPES + 1).astype(int)
    return [slice(start, stop) for start, stop in pairwise(ends) if start < stop]


def visit_blocks(
    A: RoundedRows,
    B: RoundedRows,
    visits: Sequence[Visit],
    cores: int,
    progress: Callable[[float], None],
) -> None:
    """Show all products to `visits`, one for each stripe of A's rows, on `cores` threads.

    A visitor gets float32 entries, valid until it returns, and which rows and columns they are.
    `progress` is told the share that is done.
    """
    parts = stripes(len(A.rows))
    scale = 1 if A.rows.device.type == "cpu" else 8
    height, width = _HEIGHT * scale, _WIDTH * scale
    grids = [_grid(part, len(B.rows), height, width) for part in parts]
    n_blocks, stop = sum(map(len, grids)), Event()
    done = iter(range(1, n_blocks + 1))

    def run(grid: list[tuple[slice, slice]], visit: Visit) -> None:
        entries = torch.empty(height * width)
        try:
            for rows, columns in grid:
                if stop.is_set():
                    return
                shape = (rows.stop - rows.start, columns.stop - columns.start)
                block = entries[: shape[0] * shape[1]].view(shape)
                block.copy_(A.rows[rows] @ B.rows[columns].T)
                visit(block.numpy(), rows, columns)
                progress(next(done) / n_blocks)
        except BaseException:  # told to the caller; the others end with the block they are at
            stop.set()
            raise

    threads = torch.get_num_threads()
    # One thread of torch for each of ours: products and what is done with them overlap.
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for working in [pool.submit(run, *work) for work in zip(grids, visits, strict=True)]:
                working.result()
        finally:
            stop.set()  # Ctrl-C arrives here
            torch.set_num_threads(threads)


def _grid(part: slice, n_b: int, height: int, width: int) -> list[tuple[slice, slice]]:
    """Rows and columns of each block of a stripe, those that share columns one after the other."""
    return [
        (slice(i, min(i + height, part.stop)), slice(j, min(j + width, n_b)))
        for j in range(0, n_b, width)
        for i in range(part.start, part.stop, height)
    ]
