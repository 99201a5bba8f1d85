"""Exactness and speed of screened TopK.

    PYTHONPATH=code python benchmarks/screening_exact.py --rows 1000000 --shape B --data trained

Batches are random, and the encoder drifts between batches. On one core.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from seedstability.dictionaries.screening import ScreenedTopK
from seedstability.dictionaries.sparse_latents import topk

LATENTS = {"B": 3072, "C": 32768}
D, K, BATCH = 768, 32, 1024


def batches(n: int, kind: str, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Draw encoders, biases and batches: `gaussian`, or similar to those of trained SAEs."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    spectrum = torch.arange(1, D + 1) ** -0.5 if kind == "trained" else torch.ones(D)
    features = _unit(normal(n, D) * spectrum)
    encoder = features + (0.3 * _unit(normal(n, D) * spectrum) if kind == "trained" else 0)
    bias = 0.05 * normal(n)
    for _ in range(count):
        centered = normal(BATCH, D) * spectrum
        if kind == "trained":
            active = torch.randint(n, (BATCH, K), generator=generator)
            strengths = 3 * torch.rand(BATCH, K, generator=generator)
            centered = 0.3 * centered + torch.einsum("bk,bkd->bd", strengths, features[active])
        yield encoder, bias, centered
        encoder += 1e-4 * normal(1, D)
        encoder *= 1 + 1e-4 * normal(n, 1)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shape", choices=LATENTS, default="B")
    parser.add_argument("--data", choices=["trained", "gaussian"], default="trained")
    chosen = parser.parse_args()
    torch.set_num_threads(1)

    screened = ScreenedTopK()
    count, sets, values, slow, fast = -(-chosen.rows // BATCH), 0, 0, 0.0, 0.0
    for i, (encoder, bias, centered) in enumerate(
        batches(LATENTS[chosen.shape], chosen.data, count)
    ):
        if i == 0:  # compiles, and finds the order of summation
            ScreenedTopK()(encoder, bias, centered, K)
        start = time.perf_counter()
        exact = topk(encoder, bias, centered, K)
        middle = time.perf_counter()
        found = screened(encoder, bias, centered, K)
        slow, fast = slow + middle - start, fast + time.perf_counter() - middle
        sets += _rows_that_differ(exact.latents, found.latents)
        values += _rows_that_differ(exact.values.view(np.int32), found.values.view(np.int32))
    rows, decided = screened.rows, max(screened.rows - screened.undecided_rows, 1)
    print(f"shape {chosen.shape}, {chosen.data} data, {rows} rows")
    print(f"active sets that differ: {sets}; rows with a value of other bits: {values}")
    print(f"rows a second: exact {rows / slow:.0f}, screened {rows / fast:.0f}: {slow / fast:.2f}x")
    print(f"rescored a row: {screened.candidates / decided:.1f}")
    print(f"left to the exact path: {screened.undecided_rows / rows:.2%}")


def _rows_that_differ(one: np.ndarray, other: np.ndarray) -> int:
    return int((one != other).reshape(-1, K).any(1).sum())


if __name__ == "__main__":
    main()
