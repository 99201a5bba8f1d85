"""Arrays of the figures of section "Same data, different features"."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.analyses.modes import ModesHistogram
from audit.experiments.alignment.latents import Latents, deciles
from audit.pipeline.results import Array


def curves(numbers: tuple[int, ...], nodes: list[dict]) -> dict:
    """Arrays of the figure over sizes; shares are in percent."""
    found: dict = {"size": Array(np.array(numbers, float), 0)}
    for name in ("shared", "shared_decoder_only", "agreeing", "matched_mean"):
        digits, wide = (4, 0.02) if name == "matched_mean" else (2, 3.0)
        values = [node[name]["value"] for node in nodes]
        columns = {
            part: [getattr(value, part) for value in values] for part in ("value", "low", "high")
        }
        # An end of an interval over few seeds varies by as much as the interval is wide.
        ends = max([wide, *(value.high - value.low for value in values)])
        columns["gauge"] = [node[name]["gauge"].value for node in nodes]
        columns["live"] = [node["live"][name]["value"].value for node in nodes]
        found[name] = {
            part: Array(
                np.array(column), digits, tolerance=ends if part in ("low", "high") else wide
            )
            for part, column in columns.items()
        }
    for name, digits, wide in (("explained_variance", 3, 0.01), ("dead_fraction", 1, 3.0)):
        column = np.array([node["quality"][name].value for node in nodes])
        found[name] = Array(column, digits, tolerance=wide)
    return found


def histogram(found: ModesHistogram) -> dict:
    """Histograms of latents by cosine, in percent per bin."""
    columns: Mapping[str, Any] = found
    return {name: Array(column, 2, tolerance=2.0) for name, column in columns.items()}


def curve_over_frequency(latents: Latents) -> dict:
    """Alignment and sharing of latents in classes from rare to frequent."""
    found = deciles(latents)
    return {
        "frequency": Array(found["frequency"], 5, tolerance=0.02),
        **{name: Array(found[name], 3, tolerance=0.08) for name in ("median", "low", "high")},
        "shared": Array(100 * found["shared"], 1, tolerance=10.0),
    }
