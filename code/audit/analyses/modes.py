"""Stage: dip tests and mixtures of the cosines of matched live latents, with chance."""

from collections.abc import Mapping

import numpy as np

from audit.analyses.config import ModesConfig
from seedstability.stability.statistics.modality import (
    beta_mixture,
    detectable_separation,
    dip_excess,
    dip_p_value,
)

KINDS = ("decoder", "encoder", "mean")
"""Cosines that are tested: of decoders, of encoders, or 004's mean of the two."""


def modes(config: ModesConfig, alignment: Mapping, evaluation: Mapping) -> dict:
    """Test each pair's matched cosines for bimodality, and fit a mixture.

    Args:
        config: power and draws of the minimum detectable separation.
        alignment: as `analyses.alignment:align` returns it.
        evaluation: `live` [S, n].

    Returns:
        For each of `KINDS`, and for decoders under `gauge`, [S, S] matrices, NaN for pairs that
        were not compared: `dip_excess` above the 95% quantile of a flat mode, `dip_p`; for decoders
        also `bic_gain` of two components over one, their `mean_low`, `mean_high` and `share_high`,
        and the `valley` between them. `smallest_separation`, the minimum detectable separation of
        two normal components at this number of latents, in their standard deviations. And
        `histogram`: `edges` [41] and the percentages of latents of `trained` and `gauge` decoders,
        and of the fitted `mixture`, [40].
    """
    live = evaluation["live"]
    partners, gauge = alignment["partners"], alignment["gauge_partners"]
    cosines = {kind: _live_cosines(partners, live, kind) for kind in KINDS}
    cosines["gauge"] = _live_cosines(gauge, live, "decoder")
    counts = [len(each) for each in cosines["decoder"].values()]
    return {
        **{
            name: _tested(found, len(live), fitted=name in ("decoder", "gauge"))
            for name, found in cosines.items()
        },
        "smallest_separation": detectable_separation(
            int(np.median(counts)), config.power, config.draws, config.seed
        ),
        "histogram": _histogram(cosines["decoder"], cosines["gauge"]),
    }


def _histogram(trained: Mapping, gauge: Mapping) -> dict[str, np.ndarray]:
    edges = np.linspace(-0.2, 1.0, 41)
    # Rounding may give a cosine slightly above one.
    both = [
        np.clip(np.concatenate(list(cosines.values())), edges[0], edges[-1])
        for cosines in (trained, gauge)
    ]
    shares = [100 * np.histogram(each, edges)[0] / len(each) for each in both]
    mixture = 100 * beta_mixture(both[0], 2).shares(edges)
    return {"edges": edges, "trained": shares[0], "gauge": shares[1], "mixture": mixture}


def _live_cosines(
    partners: Mapping, live: np.ndarray, kind: str
) -> dict[tuple[int, int], np.ndarray]:
    """Collect for each pair of seeds the cosines of live latents with live partners."""
    found = {}
    for p, (i, j) in enumerate(partners["pair"].tolist()):
        by = "encoder" if kind == "encoder" else "decoder"
        both = live[i] & live[j][partners[f"{by}_partner"][p]]
        cosine = partners[f"{by}_cosine"][p]
        if kind == "mean":
            cosine = 0.5 * (cosine + partners["encoder_cosine"][p])
        found[i, j] = cosine[both].astype(float)
    return found


def _tested(
    cosines: Mapping[tuple[int, int], np.ndarray], n_seeds: int, fitted: bool
) -> dict[str, np.ndarray]:
    matrices: dict[str, np.ndarray] = {}
    for (i, j), values in cosines.items():
        found = {"dip_excess": dip_excess(values), "dip_p": dip_p_value(values)}
        for name, value in (found | (_fit(values) if fitted else {})).items():
            table = matrices.setdefault(name, np.full((n_seeds, n_seeds), np.nan))
            table[i, j] = table[j, i] = value
    return matrices


def _fit(values: np.ndarray) -> dict[str, float]:
    one, two = beta_mixture(values, 1), beta_mixture(values, 2)
    return {
        "bic_gain": one.bic - two.bic,
        "mean_low": two.means[0],
        "mean_high": two.means[1],
        "share_high": two.weights[1],
        "valley": two.valley,
    }
