"""Reconstruction metrics of several dictionaries, named as in definitions.md §4."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from audit.subjects.arrays import columns
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report

METRICS = ("explained_variance", "explained_variance_scalar_mean", "mse", "l0", "dead_fraction")


def metrics(sae: SAE, x: Tensor, names: Sequence[str] = METRICS) -> dict[str, Any]:
    """Metrics of one dictionary on samples [m, d], and the `firing_rate` [n] of its latents."""
    measured = quality(sae, x)
    numbers = {name: getattr(measured, name) for name in names}
    return {**numbers, "firing_rate": measured.firing_rate.numpy()}


def metrics_of_each(
    trained: Sequence[SAE],
    samples: Mapping[str, Tensor],
    measure: Callable[[SAE, Tensor], Mapping[str, Any]] = metrics,
) -> dict[str, dict[str, np.ndarray]]:
    """Metrics of S dictionaries, [S] or [S, n], by the name of the samples and their own."""
    rows = []
    for done, sae in enumerate(trained):
        rows.append({name: measure(sae, x) for name, x in samples.items()})
        report(done + 1, len(trained))
    return columns(rows)
