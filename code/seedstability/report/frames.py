"""The results of a comparison as pandas frames; pandas is optional."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstability.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame


def frames(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, "DataFrame"]:
    """Frames by name.

    `dictionaries`: one row per dictionary. `measures`: one per scope and statistic, with interval,
    chance levels, κ and p. `pairs`: one per scope, statistic and pair. `latents`: one per compared
    latent. `partners`: one per matched latent and pair.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError:
        raise UserError("pandas is not installed; `pip install 'seedstability[frames]'`") from None
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    return {
        "dictionaries": DataFrame(_dictionaries(document)),
        "measures": DataFrame(_measures(document)),
        "pairs": DataFrame(_pairs(document, names)),
        "latents": DataFrame(_latents(names, arrays)),
        "partners": DataFrame(_partners(names, arrays)),
    }


def _dictionaries(document: Mapping[str, Any]) -> list[dict]:
    both = zip(document["inputs"]["dictionaries"], document["dictionaries"], strict=True)
    return [
        {name: value for name, value in (given | found).items() if name != "files"}
        for given, found in both
    ]


def _measures(document: Mapping[str, Any]) -> list[dict]:
    return [
        {
            "scope": scope,
            "statistic": name,
            **{key: found[key] for key in ("value", "low", "high", "interval", "unit")},
            **{f"chance_{level}": value for level, value in found["chance"].items()},
            **{f"kappa_{level}": kappa["value"] for level, kappa in found["kappa"].items()},
            "p_gauge": found["p_gauge"],
        }
        for scope, statistics in document["measures"].items()
        for name, found in statistics.items()
    ]


def _pairs(document: Mapping[str, Any], names: list[str]) -> list[dict]:
    return [
        {"scope": scope, "statistic": name, "a": names[i], "b": names[j], "value": row[j]}
        for scope, statistics in document["pairs"].items()
        for name, table in statistics.items()
        for i, row in enumerate(table)
        for j in range(i + 1, len(row))
        if row[j] is not None
    ]


def _latents(names: list[str], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    seeds, latents = np.nonzero(~np.isnan(arrays["best_cosine"]))
    measured = ("reproducibility", "best_cosine", "matched_cosine", "firing")
    return {
        "dictionary": np.array(names, object)[seeds],
        "latent": latents,
        **{name: arrays[name][seeds, latents] for name in measured if name in arrays},
    }


def _partners(names: list[str], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    labels, pairs = np.array(names, object), arrays["pairs"]
    rows, latents = np.nonzero(arrays["partner"] >= 0)
    return {
        "a": labels[pairs[rows, 0]],
        "latent_a": latents,
        "b": labels[pairs[rows, 1]],
        "latent_b": arrays["partner"][rows, latents],
        "cosine": arrays["cosine"][rows, latents],
    }
