"""What the figures of a comparison are called, and where its result keeps them. No torch here."""

from collections.abc import Mapping

import numpy as np

from seedstability.stability.chance.closed_form import Similarity

BEST: tuple[Similarity, ...] = ("max_cosine", "max_abs_cosine")
"""Statistics of best partners: cheap, and with a closed form of chance."""
MATCHED = ("matched_mean", "matched_median")
"""Statistics of the one-to-one assignment of decoders."""
SHARES = ("shared", "shared_decoder_only", "agreeing")
"""Shares of latents that decoder and encoder assignments make the same, printed in percent."""
SIMILARITIES = (*BEST, *MATCHED, *SHARES)
"""All of these, as they are listed."""
ENCODER = "encoder_"
"""Prefix of the same statistic of encoders."""
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
    """The levels that a comparison has for a statistic, like with like."""
    levels = {}
    for level, table in _TABLES[scope].items():
        drawn = comparison.get(table, {}).get(name)
        if drawn is not None:
            levels[level] = drawn[seeds, seeds] if isinstance(drawn, np.ndarray) else drawn
    return levels
