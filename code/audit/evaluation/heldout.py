"""Stage: reconstruction metrics and live latents of each dictionary on held-out samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.evaluation.heldout_config import HeldoutConfig
from audit.training.stages import saes, tensor
from seedstability.dictionaries.metrics import Quality, quality
from seedstability.progress import report

_NUMBERS = ("explained_variance", "l0", "dead_fraction")


def evaluate_heldout(
    config: HeldoutConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Evaluate dictionaries as `evaluation.stages:evaluate` does, without training samples.

    Sweeps of many arms use it.

    Returns:
        Under `heldout`, and under `own` if training samples are requested: `explained_variance`,
        `l0`, `dead_fraction` [S], `firing_rate` [S, n]. And `live` bool [S, n], fires at least
        once.
    """
    trained = saes(dictionaries, config.dictionary)
    parts = {"heldout": tensor(activations["heldout"])}
    if config.own_samples:
        parts["own"] = tensor(activations["train"][: config.own_samples])
    found: dict[str, list[Quality]] = {part: [] for part in parts}
    for done, sae in enumerate(trained):
        for part, x in parts.items():
            found[part].append(quality(sae, x))
        report(done + 1, len(trained))
    result: dict[str, Any] = {part: _arrays(measured) for part, measured in found.items()}
    part = "own" if config.live_on_own else "heldout"
    return result | {"live": result[part]["firing_rate"] > 0}


def _arrays(measured: list[Quality]) -> dict[str, np.ndarray]:
    numbers = {name: np.array([getattr(each, name) for each in measured]) for name in _NUMBERS}
    return {**numbers, "firing_rate": np.stack([each.firing_rate.numpy() for each in measured])}
