"""Training speed on a GPU: all seeds in one product, and a loop over the seeds.

    python benchmarks/training/on_cuda.py --json cuda.json

Both use the batched trainer on the same card, deterministically as in stages: all seeds together,
and one after the other. Runs are interleaved; medians over rounds are printed. Batches come from
CPU memory and are the same for all seeds, as in `train`. The time excludes making the initial SAEs
and copying them to the card.
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
"""Timed steps per round."""


def settings(shape: Shape) -> DictionaryConfig:
    """Settings as in `contestants/ours.py`."""
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
    """Time `steps` steps after a warm-up."""
    config = initial_saes[0].config
    trainer = BatchedTrainer(initial_saes, config, WARM_UP + steps, device)
    feed = batches(x, config.batch_size)
    trainer.advance([feed], WARM_UP)
    wait(device)
    start = time.perf_counter()
    trainer.advance([feed], steps)
    wait(device)
    return time.perf_counter() - start, trainer


def wait(device: str) -> None:
    """Wait until the card is idle."""
    if device != "cpu":
        torch.cuda.synchronize()


def compare(initial_saes: list[SAE], x: torch.Tensor, steps: int, rounds: int, device: str) -> dict:
    """Time both ways for these seeds, interleaved."""
    seconds: dict[str, list[float]] = {"together": [], "loop": []}
    decoders, peak = [], 0.0
    for _ in range(rounds):
        seconds["loop"].append(sum(timed([one], x, steps, device)[0] for one in initial_saes))
        reset_peak_memory(device)
        taken, trainer = timed(initial_saes, x, steps, device)
        seconds["together"].append(taken)
        decoders.append(trainer.parameters.decoder.detach().cpu())
        peak = peak_memory(device)
        del trainer
    work = steps * initial_saes[0].config.batch_size * len(initial_saes)
    return {
        "seeds": len(initial_saes),
        "rounds": seconds,
        **{way: work / median(taken) for way, taken in seconds.items()},
        "ratio": median(seconds["loop"]) / median(seconds["together"]),
        "peak_gb": peak,
        "same_bits": all(torch.equal(decoders[0], other) for other in decoders[1:]),
    }


def reset_peak_memory(device: str) -> None:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> float:
    """Peak memory of tensors on the card, in GB."""
    return 0.0 if device == "cpu" else torch.cuda.max_memory_allocated() / 1e9


def race(letter: str, arguments: argparse.Namespace) -> dict[str, dict]:
    """Compare all numbers of seeds at one shape; prints each line at once."""
    shape, found = SHAPES[letter], {}
    x, _ = data(shape)
    initial_saes = [
        initialize(settings(shape), shape.width, seed) for seed in range(max(arguments.seeds))
    ]
    for seeds in arguments.seeds:
        try:
            row = compare(
                initial_saes[:seeds], x, STEPS[letter], arguments.rounds, arguments.device
            )
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
    """Card and versions."""
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
    parser.add_argument("--json", type=Path, help="write the times of all rounds to this file")
    arguments = parser.parse_args()
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit(f"device is {arguments.device!r}, but there is no NVIDIA card; use cpu")
    pinning.fix_after_torch()
    about = machine(arguments.device)
    print("; ".join(f"{name}: {value}" for name, value in about.items()))
    print("thousand samples·seeds/s; memory of the card in GB; the same bits in each round")
    print(
        f"shape seeds {'together':>10} {'loop':>10} {'ratio':>7} {'memory':>8}   bits", flush=True
    )
    shapes = {letter: race(letter, arguments) for letter in arguments.shapes}
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "shapes": shapes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
