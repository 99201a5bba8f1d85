"""Stage: dip tests and mixtures of the cosines of matched live latents, with chance."""

from collections.abc import Mapping
from typing import Literal, TypedDict, get_args

import numpy as np
from jaxtyping import Bool, Float

from audit.analyses.alignment import Alignment, BothPartners
from audit.analyses.config import ModesConfig
from audit.evaluation.results import Evaluation
from seedstability.similarity.comparison import PairStatistics
from seedstability.stability.statistics.modality import (
    beta_mixture,
    detectable_separation,
    dip_excess,
    dip_p_value,
)

Kind = Literal["decoder", "encoder", "mean"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Cosines that are tested: of decoders, of encoders, or 004's mean of the two."""
Cosines = Mapping[tuple[int, int], Float[np.ndarray, " latents"]]
"""Cosines by pair of seeds."""


class ModesHistogram(TypedDict):
    """Percentages of latents by the cosine of their decoders, in B bins."""

    edges: Float[np.ndarray, " B+1"]
    trained: Float[np.ndarray, " B"]
    gauge: Float[np.ndarray, " B"]
    mixture: Float[np.ndarray, " B"]
    """Of the mixture fitted to trained decoders."""


class Modes(TypedDict):
    """Tests of matched cosines for two modes.

    All have `dip_excess`, the dip above the 95% quantile of a flat mode, and `dip_p`. Those of
    decoders also have the `bic_gain` of two components over one, their `mean_low`, `mean_high` and
    `share_high`, and the `valley` between them.
    """

    decoder: PairStatistics
    encoder: PairStatistics
    mean: PairStatistics
    gauge: PairStatistics
    """Of decoders, with the second dictionary scrambled."""
    smallest_separation: float
    """Minimum detectable separation of two normal components at this number of latents, in their
    standard deviations."""
    histogram: ModesHistogram


def modes(config: ModesConfig, alignment: Alignment, evaluation: Evaluation) -> Modes:
    """Test each pair's matched cosines for bimodality, and fit a mixture."""
    live = evaluation["live"]
    partners, n_seeds = alignment["partners"], len(live)
    decoders = _live_cosines(partners, live, "decoder")
    gauge = _live_cosines(alignment["gauge_partners"], live, "decoder")
    return {
        "decoder": _tested(decoders, n_seeds, fitted=True),
        "encoder": _tested(_live_cosines(partners, live, "encoder"), n_seeds),
        "mean": _tested(_live_cosines(partners, live, "mean"), n_seeds),
        "gauge": _tested(gauge, n_seeds, fitted=True),
        "smallest_separation": detectable_separation(
            int(np.median([len(each) for each in decoders.values()])),
            config.power,
            config.draws,
            config.seed,
        ),
        "histogram": _histogram(decoders, gauge),
    }


def _histogram(trained: Cosines, gauge: Cosines) -> ModesHistogram:
    edges = np.linspace(-0.2, 1.0, 41)
    # Rounding may give a cosine slightly above one.
    both = [
        np.clip(np.concatenate(list(cosines.values())), edges[0], edges[-1])
        for cosines in (trained, gauge)
    ]
    shares = [100 * np.histogram(each, edges)[0] / len(each) for each in both]
    mixture = 100 * beta_mixture(both[0], 2).shares(edges)
    return {"edges": edges, "trained": shares[0], "gauge": shares[1], "mixture": mixture}


def _live_cosines(partners: BothPartners, live: Bool[np.ndarray, "S n"], kind: Kind) -> Cosines:
    """Collect the cosines of live latents with live partners."""
    partner = partners["encoder_partner" if kind == "encoder" else "decoder_partner"]
    cosines = {
        "decoder": partners["decoder_cosine"],
        "encoder": partners["encoder_cosine"],
        "mean": 0.5 * (partners["decoder_cosine"] + partners["encoder_cosine"]),
    }[kind]
    return {
        (i, j): cosines[p][live[i] & live[j][partner[p]]].astype(float)
        for p, (i, j) in enumerate(partners["pair"].tolist())
    }


def _tested(cosines: Cosines, n_seeds: int, fitted: bool = False) -> PairStatistics:
    matrices: PairStatistics = {}
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
