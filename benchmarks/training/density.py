"""Share of active latents above which dense products train ReLU SAEs faster than entries.

    python benchmarks/training/density.py

Both use the same batches and dictionary, interleaved, on one core. The encoder bias sets how many
latents fire. Medians are printed. `_DENSE_FROM` in `architectures/relu.py` comes from here.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "code"), str(ROOT / "tests")]

from seedstability.numerics import pinning

BIASES, STEPS = (0.5, 0.0, -0.5, -0.8, -1.0, -1.2, -1.5, -2.0), 40


def milliseconds(sae, x, dense: bool) -> float:
    """Time loss and gradients of one batch, without an update."""
    relu._DENSE_FROM = 0.0 if dense else 1.0
    start = time.perf_counter()
    found = loss_and_gradients(sae, x)
    gradients(sae, found)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    shape = shapes.SHAPES["A"]
    x, _ = shapes.data(shape)
    config = replace(RELU, n_latents=shape.latents, normalize_activations=False)
    sae = initialize(config, x.shape[1], 0)
    print("share that fires   entries (ms)   products (ms)")
    for bias in BIASES:
        sae.encoder_bias.fill_(bias)
        taken: dict[bool, list[float]] = {False: [], True: []}
        for part in x.split(shape.batch)[:STEPS]:
            for dense, measured in taken.items():
                measured.append(milliseconds(sae, part, dense))
        fires = (sae.encode(x[: shape.batch]) > 0).float().mean().item()
        entries, products = (median(measured) for measured in taken.values())
        print(f"{fires:16.3f} {entries:14.2f} {products:15.2f}", flush=True)


if __name__ == "__main__":
    if os.environ.get("MALLOC_TOP_PAD_") is None:
        # these take effect only at the start of a process
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, **pinning.environment()}
        )
    pinning.fix_after_torch()
    import shapes

    from helpers.dense_gradients import gradients
    from seedstability.dictionaries.architectures import relu
    from seedstability.dictionaries.config import RELU
    from seedstability.dictionaries.sae import initialize
    from seedstability.dictionaries.training.gradients import loss_and_gradients

    main()
