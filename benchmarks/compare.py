"""What `seedstability compare` takes, beside its forecast and `import torch`.

    .venv/bin/python benchmarks/compare.py

Each comparison is a fresh process: on one core, in seconds of processor time, so that other work on
the machine counts less; and on all, in seconds that one waits, and in units of the wait for
`import torch`. The dictionaries are random directions with the spectrum of the data, half
of them shared at a cosine of 0.9 between seeds; variances fall as a power of their rank, as in a
transformer's residual stream. Writing the inputs is not timed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "code"))

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.formats.folder import save
from seedstability.dictionaries.sae import SAE
from seedstability.similarity.config import (
    ComparisonConfig,
    config_for_size,
    matched_pairs,
)
from seedstability.similarity.cost import estimate_cost


class Case(NamedTuple):
    """Size of a comparison."""

    seeds: int
    n: int
    d: int
    samples: int = 0
    architecture: str = "topk"

    @property
    def name(self) -> str:
        data = f", {self.samples:,} activations" if self.samples else ""
        return f"{self.seeds} × {self.n:,} latents of {self.d}{data}, {self.architecture}"


CASES = (
    Case(2, 1024, 576),
    Case(3, 1024, 576, 16_384),
    Case(3, 1024, 576, 16_384, "relu"),
    Case(5, 1024, 128, 65_536),
    Case(3, 4096, 256, 16_384),
    Case(2, 16_384, 768),
    Case(5, 16_384, 768, 65_536),
)
QUICK = 4
"""The first so many are the small ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the large ones too")
    cases = CASES if parser.parse_args().all else CASES[:QUICK]
    spent([sys.executable, "-c", "import torch"])  # warms up
    torch_seconds = spent([sys.executable, "-c", "import torch"])
    print(f"`import torch`: {torch_seconds.waited:.2f} s\n")
    print("| comparison | forecast, s | measured, s | ratio | wait, s | wait, imports of torch |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in cases:
        with tempfile.TemporaryDirectory() as scratch:
            command = comparison(case, Path(scratch))
            waited = spent(command).waited  # fills numba's cache
            waited = min(waited, spent(command).waited)
            used = spent(command, OMP_NUM_THREADS="1").used
        said = forecast(case)
        print(
            f"| {case.name} | {said:.1f} | {used:.1f} | {said / used:.2f}"
            f" | {waited:.1f} | {waited / torch_seconds.waited:.1f} |",
            flush=True,
        )


def comparison(case: Case, folder: Path) -> list[str]:
    """Write the inputs of a comparison; the command that makes it."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.arange(1, case.d + 1).float() ** -0.5

    def directions(rows: int) -> torch.Tensor:
        drawn = torch.randn(rows, case.d, generator=generator) * spread
        return drawn / drawn.norm(dim=1, keepdim=True)

    shared = directions(case.n // 2)
    paths = []
    for seed in range(case.seeds):
        noisy = 0.9 * shared + (1 - 0.9**2) ** 0.5 * directions(len(shared))
        decoder = torch.cat([noisy, directions(case.n - len(shared))])
        decoder = decoder / decoder.norm(dim=1, keepdim=True)
        paths.append(folder / f"seed{seed}")
        config = DictionaryConfig(n_latents=case.n, architecture=case.architecture)
        bias = torch.full((case.n,), -0.1 if case.architecture == "relu" else 0.0)
        zeros = torch.zeros(case.d)
        save(SAE(decoder, bias, decoder, zeros, torch.zeros(case.n), config), paths[-1])
    words = ["compare", *map(str, paths), "--out", str(folder / "report")]
    if case.samples:
        data = torch.randn(case.samples, case.d, generator=generator) * spread
        np.save(folder / "activations.npy", data.numpy())
        words += ["--activations", str(folder / "activations.npy")]
    return [sys.executable, "-m", "seedstability", *words]


class Seconds(NamedTuple):
    """Time of a command: of all processors, and on the clock."""

    used: float
    waited: float


def spent(command: list[str], **settings: str) -> Seconds:
    """Time of a command in this environment."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "code")} | settings
    before = os.times()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    after = os.times()
    if ended.returncode:
        sys.exit(f"{' '.join(command)}: {(ended.stdout + ended.stderr)[-500:]}")
    user = after.children_user - before.children_user
    used = user + after.children_system - before.children_system
    return Seconds(used, after.elapsed - before.elapsed)


def forecast(case: Case) -> float:
    """Seconds that `compare` expects."""
    pairs = len(matched_pairs(case.seeds, ComparisonConfig()))
    config = config_for_size(ComparisonConfig(), case.n, case.d, case.seeds, pairs)
    size = case.n, case.d, case.seeds, case.samples
    return estimate_cost(config, *size, has_initial=False)[0]


if __name__ == "__main__":
    main()
