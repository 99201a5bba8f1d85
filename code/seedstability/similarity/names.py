"""Names of the statistics and chance levels of a comparison, and where its result has them."""

from collections.abc import Mapping

import numpy as np

from seedstability.stability.chance.closed_form import Similarity

BEST: tuple[Similarity, ...] = ("max_cosine", "max_abs_cosine")
"""Statistics of best partners: cheap, with a closed-form chance level."""
MATCHED = ("matched_mean", "matched_median")
"""Statistics of the one-to-one assignment of decoders."""
SHARES = ("shared", "shared_decoder_only", "agreeing")
"""Shares of latents by agreement of decoder and encoder assignments, printed in percent."""
SIMILARITIES = (*BEST, *MATCHED, *SHARES)
"""All statistics, in the order of the report."""
ENCODER = "encoder_"
"""Prefix of encoder statistics."""
LEVELS = ("isotropic", "untrained", "data", "gauge")
"""The four chance levels, weakest first."""

Chance = float | np.ndarray

_TABLES = {
    "full": {level: level for level in LEVELS},
    "live": {"isotropic": "isotropic_live", "gauge": "gauge_live"},
    "span": {"isotropic": "isotropic_span"},
}


def chance_levels(
    comparison: Mapping, name: str, seeds: slice = slice(None), scope: str = "full"
) -> dict[str, Chance]:
    """Chance levels of a statistic in a comparison, for the same scope and seeds."""
    levels = {}
    for level, table in _TABLES[scope].items():
        drawn = comparison.get(table, {}).get(name)
        if drawn is not None:
            levels[level] = drawn[seeds, seeds] if isinstance(drawn, np.ndarray) else drawn
    return levels
