"""From which share of latents on whole products train a ReLU dictionary faster than entries.

    python benchmarks/training/density.py

Both ways take the same batches of the same dictionary, in turns, on one core; its bias decides how
many latents fire. Printed are medians. `dictionaries/batch.py` takes its `_DENSE_FROM` from here.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

from seedstability.numerics import pinning

BIASES, STEPS = (0.5, 0.0, -0.5, -0.8, -1.0, -1.2, -1.5, -2.0), 40


def milliseconds(sae, x, dense: bool) -> float:
    """One step without moving anything: what a batch says, and its sorting."""
    batch._DENSE_FROM = 0.0 if dense else 1.0
    began = time.perf_counter()
    found = batch.loss_and_gradients(sae, x)
    batch.gradients(sae, found)
    return 1000 * (time.perf_counter() - began)


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
        # both are of use only from the start of a process on
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, **pinning.environment()}
        )
    pinning.fix_after_torch()
    import shapes

    from seedstability.dictionaries.config import RELU
    from seedstability.dictionaries.sae import initialize
    from seedstability.dictionaries.training import gradients as batch

    main()
