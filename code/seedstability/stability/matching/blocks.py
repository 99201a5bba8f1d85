"""Blockwise products of two dictionaries, with a bound on the rounding error of each.

No n × n matrix is ever held. A block is computed by torch in one of two precisions:

- `float32`: error at most d · 2⁻²⁴ · ‖a‖ ‖b‖, for any order of summation;
- `bfloat16`: of rows rounded to 8 bits, on processors that multiply these several times as fast.
  With ã, b̃ the rounded rows, |a·b − ã·b̃| ≤ ‖a − ã‖ ‖b‖ + ‖ã‖ ‖b − b̃‖ (Cauchy & Schwarz), and
  both residuals are measured; sums are float32, and results are rounded to bfloat16.
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
"""Parts of the rows, one per thread. Fixed, so that results do not depend on the cores."""
_HEIGHT, _WIDTH = 512, 1024
"""A block and its rows fit in a core's cache. On a GPU, from which blocks have to be copied, they
are 8 times as high and wide."""
_UNIT = 2.0**-24
_BFLOAT16_OUT = 2.0**-8 * 1.01


@dataclass(frozen=True)
class RoundedRows:
    """Unit rows in the precision of the product."""

    rows: Float[Tensor, "n d"]
    """In the type of the product, on its device."""
    margins: Float32[np.ndarray, " n"]
    """Each row's contribution to the error bound of a product."""

    def kept(self, which: Int64[np.ndarray, " m"]) -> "RoundedRows":
        """Select rows by index."""
        return RoundedRows(self.rows[torch.from_numpy(which)], self.margins[which])


def round_rows(X: Float32[Tensor, "n d"], method: Method, device: str = "cpu") -> RoundedRows:
    """Round unit rows `X` to the precision of `method`, with an error bound per row."""
    sums = (
        X.shape[1] * _UNIT * 1.01
    )  # twice this side's half of the bound for any order of summation
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
    """Largest relative error from rounding a product to the output precision."""
    return _BFLOAT16_OUT if method == "bfloat16" else 0.0


@cache
def faster_method(d: int, device: str = "cpu") -> Method:
    """Choose bfloat16 if it is at least 1.5 times as fast on one block; the choice is cached.

    The assignment is the same with either; only the time differs.
    """
    if device != "cpu":
        return "float32"

    left, right = torch.ones(_HEIGHT, d), torch.ones(_WIDTH, d)
    short_left, short_right = left.bfloat16(), right.bfloat16()

    def seconds(multiply: Callable[[], Tensor]) -> float:
        start = time.perf_counter()
        multiply()
        return time.perf_counter() - start

    # Alternating, best of several: brief load on the machine must not decide.
    tries = [
        (seconds(lambda: left @ right.T), seconds(lambda: (short_left @ short_right.T).float()))
        for _ in range(8)
    ]
    single, short = map(min, zip(*tries, strict=True))
    return "bfloat16" if 1.5 * short < single else "float32"


def within_bounds(
    rounded_a: RoundedRows, rounded_b: RoundedRows, A: Tensor, B: Tensor, method: Method
) -> bool:
    """Check the bounds on the first rows' products against double precision.

    They hold unless a library accumulates in less than float32; none that we know does.
    """
    h, w = 64, 1024
    computed = (rounded_a.rows[:h] @ rounded_b.rows[:w].T).cpu().double()
    off = (computed - A[:h].double() @ B[:w].double().T).abs()
    margins = rounded_a.margins[:h, None] + rounded_b.margins[:w]
    return bool(
        (off <= torch.from_numpy(margins) + relative_rounding(method) * computed.abs()).all()
    )


def stripes(n: int) -> list[slice]:
    """Rows of each part, one part per thread."""
    ends = np.linspace(0, n, STRIPES + 1).astype(int)
    return [slice(start, stop) for start, stop in pairwise(ends) if start < stop]


def visit_blocks(
    A: RoundedRows,
    B: RoundedRows,
    visits: Sequence[Visit],
    cores: int,
    progress: Callable[[float], None],
) -> None:
    """Call `visits`, one per stripe of A's rows, with all blocks of products, on `cores` threads.

    A visitor gets float32 entries, valid until it returns, and their rows and columns.
    `progress` receives the share that is done.
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
        except BaseException:  # re-raised to the caller; other threads stop after their block
            stop.set()
            raise

    threads = torch.get_num_threads()
    # One torch thread per worker: products and their processing overlap.
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for working in [pool.submit(run, *work) for work in zip(grids, visits, strict=True)]:
                working.result()
        finally:
            stop.set()  # Ctrl-C arrives here
            torch.set_num_threads(threads)


def _grid(part: slice, n_b: int, height: int, width: int) -> list[tuple[slice, slice]]:
    """Rows and columns of each block of a stripe; blocks that share columns are consecutive."""
    return [
        (slice(i, min(i + height, part.stop)), slice(j, min(j + width, n_b)))
        for j in range(0, n_b, width)
        for i in range(part.start, part.stop, height)
    ]
