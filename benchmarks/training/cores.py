"""How much a second core gives: several seeds trained by `train`, on one core and on two.

    python benchmarks/training/cores.py

Runs are interleaved; printed are medians. Whatever starting workers costs is in the time, for
whoever calls `train` waits for it too.
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
    """The time one call takes."""
    began = time.perf_counter()
    train(x, config, range(seeds), cores=cores)
    return time.perf_counter() - began


def compare(x, config, seeds: int, rounds: int) -> str:
    """Median speeds on one core and on two, and their ratio."""
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
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    shape = SHAPES["A"]
    x, _ = data(shape)
    config = replace(
        TOPK,
        n_latents=shape.latents,
        k=shape.k,
        batch_size=shape.batch,
        epochs=asked.epochs,
        normalize_activations=False,
        auxk=0,
    )
    train(x[: 4 * shape.batch], config, (0,), cores=1)  # whatever compiles does so here
    print("thousand samples·seeds/s")
    print(f"{'seeds':>5} {'one core':>12} {'two cores':>12} {'ratio':>8}")
    for seeds in SEEDS:
        print(compare(x, config, seeds, asked.rounds), flush=True)


if __name__ == "__main__":
    if os.environ.get("MALLOC_TOP_PAD_") is None:
        # allocator settings count only from the start of a process on
        settings = {k: v for k, v in pinning.environment().items() if k not in pinning.pins()}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})
    import torch
    from shapes import SHAPES, data

    from seedstability.dictionaries.config import TOPK
    from seedstability.dictionaries.training.train import train

    main()
