"""How cosines with partners are distributed, by chance too, and against firing frequency."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seedstability.report.estimates import rounded
from seedstability.similarity.recorder import FINE_BINS, Recorder, fine_counts
from seedstability.stability.chance.closed_form import cosine_cdf

_BINS = 40
_DECADES = 0.25
"""Width of the bins of firing frequency, in powers of ten."""


def distribution(best: Float[Tensor, "S S n"], observed: Recorder, d: int) -> dict:
    """Shares of latents by cosine with their partner, in bins that all curves have in common.

    Args:
        best: best signed cosine of each latent of s with any of t.
        observed: one-to-one partners, and what chance gave.
        d: width.
    """
    ours = {"matched": observed.matched("full"), "best": fine_counts(best.flatten())}
    chance = {
        "chance_best": {"isotropic": None, "gauge": observed.best("gauge")},
        "chance_matched": {
            "isotropic": observed.matched("isotropic"),
            "gauge": observed.matched("gauge"),
        },
    }
    drawn = [counts for level in chance.values() for counts in level.values()]
    lowest = _lowest([each for each in (*ours.values(), *drawn) if each is not None])
    edges = np.linspace(lowest, 1.0, _BINS + 1)
    cdf = _cdf_of_best(edges, best.shape[2], d)
    # What lies below the first edge by chance is too little to be seen; it goes to the first bin.
    exact = np.diff(np.concatenate([[0.0], cdf[1:]]))
    found: dict = {"edges": [rounded(edge) for edge in edges]}
    found |= {name: _shares(counts, lowest) for name, counts in ours.items()}
    for name, levels in chance.items():
        found[name] = {level: _shares(counts, lowest) for level, counts in levels.items()}
    found["chance_best"]["isotropic"] = [rounded(share) for share in exact]
    return found


def firing(frequency: Float[Tensor, "S n"], cosine: Float[Tensor, "S n"]) -> dict:
    """Median and quartiles of the cosine with the best partner, in bins of firing frequency.

    Args:
        frequency: share of samples in which each latent fires.
        cosine: its mean best cosine with the other dictionaries.
    """
    often, cosines = frequency.double().flatten().numpy(), cosine.double().flatten().numpy()
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
    """The multiple of 0.2 below which nothing lies, so that 40 bins have round widths."""
    first = min(int(np.flatnonzero(each)[0]) for each in counts)
    fifths = np.floor((first / FINE_BINS * 2.0 - 1.0) * 5.0 + 1e-9)
    return float(min(fifths / 5.0, 0.0))


def _shares(counts: np.ndarray | None, lowest: float) -> list[float | None] | None:
    if counts is None:
        return None
    kept = counts[round((lowest + 1.0) * FINE_BINS / 2) :]
    return [rounded(share) for share in kept.reshape(_BINS, -1).sum(axis=1) / counts.sum()]


def _cdf_of_best(edges: np.ndarray, n: int, d: int) -> np.ndarray:
    """Probability that the best of n unrelated latents has a cosine below each edge."""
    return cosine_cdf(edges, d, "max_cosine") ** n


def _quantile(values: np.ndarray, level: float) -> float | None:
    values = values[np.isfinite(values)]
    return rounded(float(np.quantile(values, level))) if len(values) else None
