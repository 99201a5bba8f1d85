"""Stage: what each dictionary is worth on held-out samples, and which latents fire at all."""

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
    """As `evaluation.stages:evaluate`, for sweeps of many arms: training samples are not needed.

    Returns:
        Under `heldout`, and under `own` where samples are asked for: `explained_variance`, `l0`,
        `dead_fraction` [S], `firing_rate` [S, n]. Beside them `live` bool [S, n], fires at least
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
    judge = "own" if config.live_on_own else "heldout"
    return result | {"live": result[judge]["firing_rate"] > 0}


def _arrays(measured: list[Quality]) -> dict[str, np.ndarray]:
    numbers = {name: np.array([getattr(each, name) for each in measured]) for name in _NUMBERS}
    return {**numbers, "firing_rate": np.stack([each.firing_rate.numpy() for each in measured])}
