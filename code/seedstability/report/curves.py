"""Distribution of cosines with partners, with its chance levels, and cosine by firing rate."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seedstability.report.estimates import rounded
from seedstability.report.recurrence import searches
from seedstability.similarity.recorder import FINE_BINS, Recorder, fine_counts
from seedstability.stability.chance.closed_form import cosine_cdf
from seedstability.stability.recurrence import compared_latents

_BINS = 40
_DECADES = 0.25
"""Width of the bins of firing rate, in powers of ten."""


def distribution(best: Float[Tensor, "S S n"], recorder: Recorder, d: int) -> dict:
    """Histograms of latents by cosine with their partner, in bins shared by all curves.

    Args:
        best: best signed cosine of each latent of s with any of t.
        recorder: matched cosines, and those of the chance levels.
        d: width.
    """
    ours = {"matched": recorder.matched_counts("full"), "best": fine_counts(best.flatten())}
    chance = {
        "chance_best": {"isotropic": None, "gauge": recorder.best_counts("gauge")},
        "chance_matched": {
            "isotropic": recorder.matched_counts("isotropic"),
            "gauge": recorder.matched_counts("gauge"),
        },
    }
    drawn = [counts for level in chance.values() for counts in level.values()]
    lowest = _lowest([each for each in (*ours.values(), *drawn) if each is not None])
    edges = np.linspace(lowest, 1.0, _BINS + 1)
    cdf = _cdf_of_best(edges, compared_latents(best).sum(dim=1).tolist(), d)
    # The probability below the first edge is negligible; it is added to the first bin.
    exact = np.diff(np.concatenate([[0.0], cdf[1:]]))
    result: dict = {"edges": [rounded(edge) for edge in edges]}
    result |= {name: _shares(counts, lowest) for name, counts in ours.items()}
    for name, levels in chance.items():
        result[name] = {level: _shares(counts, lowest) for level, counts in levels.items()}
    result["chance_best"]["isotropic"] = [rounded(share) for share in exact]
    return result


def firing(frequency: Float[Tensor, " latents"], cosine: Float[Tensor, " latents"]) -> dict:
    """Median and quartiles of the cosine with the best partner, in bins of firing rate.

    Args:
        frequency: firing rate of each latent of all dictionaries.
        cosine: its mean best cosine with the other dictionaries.
    """
    often, cosines = frequency.double().numpy(), cosine.double().numpy()
    fires = often > 0
    dead = cosines[~fires]
    log = np.log10(often[fires])
    lowest = np.floor(log.min() / _DECADES) * _DECADES if fires.any() else -1.0
    count = max(1, round(-lowest / _DECADES))
    edges = np.linspace(-count * _DECADES, 0.0, count + 1)
    places = np.clip(np.searchsorted(edges, log, side="right") - 1, 0, count - 1)
    bins = [cosines[fires][places == place] for place in range(count)]
    return {
        "edges": [rounded(edge) for edge in edges],
        "median_cosine": [_quantile(values, 0.5) for values in bins],
        "low": [_quantile(values, 0.25) for values in bins],
        "high": [_quantile(values, 0.75) for values in bins],
        "count": [len(values) for values in bins],
        "dead": {"count": len(dead), "median_cosine": _quantile(dead, 0.5)},
    }


def _lowest(counts: list[np.ndarray]) -> float:
    """Largest multiple of 0.2 below all cosines, so that 40 bins have round widths."""
    first = min(int(np.flatnonzero(each)[0]) for each in counts)
    fifths = np.floor((first / FINE_BINS * 2.0 - 1.0) * 5.0 + 1e-9)
    return float(min(fifths / 5.0, 0.0))


def _shares(counts: np.ndarray | None, lowest: float) -> list[float | None] | None:
    if counts is None:
        return None
    kept = counts[round((lowest + 1.0) * FINE_BINS / 2) :]
    return [rounded(share) for share in kept.reshape(_BINS, -1).sum(axis=1) / counts.sum()]


def _cdf_of_best(edges: np.ndarray, sizes: list[int], d: int) -> np.ndarray:
    """Probability that the best cosine with as many unrelated latents is below each edge, over all
    latents and all other dictionaries."""
    cdf = cosine_cdf(edges, d, "max_cosine")
    return np.average([cdf**n for n in sizes], axis=0, weights=searches(sizes))


def _quantile(values: np.ndarray, level: float) -> float | None:
    values = values[np.isfinite(values)]
    return rounded(float(np.quantile(values, level))) if len(values) else None
