"""Stage: reconstruction metrics and live latents of each dictionary on held-out samples."""

from collections.abc import Mapping
from functools import partial
from typing import cast

import numpy as np

from audit.evaluation.config import HeldoutConfig
from audit.evaluation.reconstruction import metrics, metrics_of_each
from audit.evaluation.results import HeldoutEvaluation
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor

_NUMBERS = ("explained_variance", "l0", "dead_fraction")


def evaluate_heldout(
    config: HeldoutConfig,
    dictionaries: Dictionaries,
    activations: Mapping[str, np.ndarray],
) -> HeldoutEvaluation:
    """Evaluate dictionaries as `evaluation.stages:evaluate` does, without training samples.

    Sweeps of many arms use it.
    """
    trained = saes(dictionaries, config.dictionary)
    parts = {"heldout": tensor(activations["heldout"])}
    if config.own_samples:
        parts["own"] = tensor(activations["train"][: config.own_samples])
    result = metrics_of_each(trained, parts, partial(metrics, names=_NUMBERS))
    part = "own" if config.live_on_own else "heldout"
    return cast(HeldoutEvaluation, {**result, "live": result[part]["firing_rate"] > 0})
