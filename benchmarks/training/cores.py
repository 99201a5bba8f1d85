"""Speedup of `train` on two cores, with several seeds.

    python benchmarks/training/cores.py

Runs are interleaved; medians are printed. Times include starting the threads.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

from seedstability.numerics import pinning

SEEDS, CORES, ROUNDS, EPOCHS = (2, 8), (1, 2), 5, 4


def seconds(x, config, seeds: int, cores: int) -> float:
    """Time one call of `train`."""
    start = time.perf_counter()
    train(x, config, range(seeds), cores=cores)
    return time.perf_counter() - start


def compare(x, config, seeds: int, rounds: int) -> str:
    """Format median speeds on one core and on two, and their ratio."""
    taken: dict[int, list[float]] = {cores: [] for cores in CORES}
    for _ in range(rounds):
        for cores, measured in taken.items():
            measured.append(seconds(x, config, seeds, cores))
    work = len(x) * config.epochs * seeds / 1000
    one, two = (work / median(taken[cores]) for cores in CORES)
    return f"{seeds:5} {one:12.1f} {two:12.1f} {two / one:8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    shape = SHAPES["A"]
    x, _ = data(shape)
    config = replace(
        TOPK,
        n_latents=shape.latents,
        k=shape.k,
        batch_size=shape.batch,
        epochs=arguments.epochs,
        normalize_activations=False,
        auxk=0,
    )
    train(x[: 4 * shape.batch], config, (0,), cores=1)  # compile the kernels
    print("thousand samples·seeds/s")
    print(f"{'seeds':>5} {'one core':>12} {'two cores':>12} {'ratio':>8}")
    for seeds in SEEDS:
        print(compare(x, config, seeds, arguments.rounds), flush=True)


if __name__ == "__main__":
    if os.environ.get("MALLOC_TOP_PAD_") is None:
        # allocator settings take effect only at the start of a process
        settings = {k: v for k, v in pinning.environment().items() if k not in pinning.pins()}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})
    import torch
    from shapes import SHAPES, data

    from seedstability.dictionaries.config import TOPK
    from seedstability.dictionaries.training.train import train

    main()
