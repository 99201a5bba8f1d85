"""What training many seeds in one product gives on a graphics card, beside a loop over the seeds.

    python benchmarks/training/cuda.py --json cuda.json

Both are this repository's engine on the same card, in the same deterministic mode as in stages:
once all seeds together, once one after the other. They take turns; printed are medians over
rounds. The batches come from the processor's memory and are the same for all seeds, as in
`train`. Neither making the initial dictionaries nor copying them to the card is in the time.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

from seedstability.numerics import pinning

pinning.fix_before_torch()

import torch
from shapes import SHAPES, Shape, batches, data

from seedstability.dictionaries.config import TOPK, DictionaryConfig
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.errors import UserError

WARM_UP, ROUNDS, SEEDS = 3, 3, (1, 8, 32)
STEPS = {"A": 200, "B": 40, "C": 8}
"""Timed in each round, for each way and number of seeds."""


def settings(shape: Shape) -> DictionaryConfig:
    """As `contestants/ours.py` has them."""
    return replace(
        TOPK,
        n_latents=shape.latents,
        k=shape.k,
        batch_size=shape.batch,
        normalize_activations=False,
        auxk=0,
    )


def timed(
    initial_saes: list[SAE], x: torch.Tensor, steps: int, device: str
) -> tuple[float, BatchedTrainer]:
    """Seconds that so many steps take, after a few that do not count."""
    config = initial_saes[0].config
    engine = BatchedTrainer(initial_saes, config, WARM_UP + steps, device)
    feed = batches(x, config.batch_size)
    engine.advance([feed], WARM_UP)
    wait(device)
    began = time.perf_counter()
    engine.advance([feed], steps)
    wait(device)
    return time.perf_counter() - began, engine


def wait(device: str) -> None:
    """Until the card has done all that it was told."""
    if device != "cpu":
        torch.cuda.synchronize()


def compare(initial_saes: list[SAE], x: torch.Tensor, steps: int, rounds: int, device: str) -> dict:
    """Both ways for these seeds, in turns."""
    seconds: dict[str, list[float]] = {"together": [], "loop": []}
    decoders, peak = [], 0.0
    for _ in range(rounds):
        seconds["loop"].append(sum(timed([one], x, steps, device)[0] for one in initial_saes))
        forget_peak(device)
        taken, engine = timed(initial_saes, x, steps, device)
        seconds["together"].append(taken)
        decoders.append(engine.parameters.decoder.detach().cpu())
        peak = memory(device)
        del engine
    work = steps * initial_saes[0].config.batch_size * len(initial_saes)
    return {
        "seeds": len(initial_saes),
        "rounds": seconds,
        **{way: work / median(taken) for way, taken in seconds.items()},
        "ratio": median(seconds["loop"]) / median(seconds["together"]),
        "peak_gb": peak,
        "same_bits": all(torch.equal(decoders[0], other) for other in decoders[1:]),
    }


def forget_peak(device: str) -> None:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def memory(device: str) -> float:
    """The most that tensors held on the card, in GB."""
    return 0.0 if device == "cpu" else torch.cuda.max_memory_allocated() / 1e9


def race(letter: str, asked: argparse.Namespace) -> dict[str, dict]:
    """All numbers of seeds at one shape; each line is printed as soon as it is known."""
    shape, found = SHAPES[letter], {}
    x, _ = data(shape)
    initial_saes = [
        initialize(settings(shape), shape.width, seed) for seed in range(max(asked.seeds))
    ]
    for seeds in asked.seeds:
        try:
            row = compare(initial_saes[:seeds], x, STEPS[letter], asked.rounds, asked.device)
        except (UserError, torch.OutOfMemoryError) as error:
            print(f"{letter:5} {seeds:5}  left out: {str(error).splitlines()[0]}", flush=True)
            continue
        print(
            f"{letter:5} {seeds:5} {row['together'] / 1e3:10.1f} {row['loop'] / 1e3:10.1f} "
            f"{row['ratio']:7.2f} {row['peak_gb']:8.2f}   {'yes' if row['same_bits'] else 'NO'}",
            flush=True,
        )
        found[str(seeds)] = row
    return found


def machine(device: str) -> dict[str, str]:
    """What the numbers depend on."""
    cuda = device != "cpu"
    return {
        "card": torch.cuda.get_device_name() if cuda else "none",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "python": platform.python_version(),
        "float32 products": torch.get_float32_matmul_precision(),
        "TF32": "on" if torch.backends.cuda.matmul.allow_tf32 else "off",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, help="keep all rounds' seconds here")
    asked = parser.parse_args()
    if asked.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit(f"device is {asked.device!r}, but no NVIDIA card and driver are here")
    pinning.fix_after_torch()
    about = machine(asked.device)
    print("; ".join(f"{name}: {value}" for name, value in about.items()))
    print("thousand samples·seeds/s; memory of the card in GB; the same bits in each round")
    print(
        f"shape seeds {'together':>10} {'loop':>10} {'ratio':>7} {'memory':>8}   bits", flush=True
    )
    shapes = {letter: race(letter, asked) for letter in asked.shapes}
    if asked.json:
        asked.json.write_text(json.dumps({"machine": about, "shapes": shapes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
