"""What a comparison will take, as far as it can be said beforehand."""

from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.pairs import matched_pairs

_ANNOUNCED = 60.0
_PRODUCTS_A_SECOND = 4e10
"""Multiplications with their additions on one core of a server of 2023, single precision; a
processor that multiplies in half precision is up to three times as fast at matching."""
_PASSES = 3
"""Passes over all products that a matching takes, with what it does in between: 1.9 to 3.2 measured
at 16,384 latents of width 256."""
_LOOKED_THROUGH = 40
"""Each cosine is looked at too, which takes as long as so much more width would: 130 s measured
where width alone says 80, at 65,536 latents of width 64."""
_AT_ALL = 0.6e9
"""Bytes without any dictionary."""
_BYTES_A_LATENT = 10_000


def cost_message(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, samples: int, started: bool
) -> str | None:
    """A line on time and memory where the former is more than a minute; else nothing."""
    seconds, memory = estimate_cost(config, n, d, n_seeds, samples, started)
    if seconds < _ANNOUNCED:
        return None
    matchings, best = _looks(config, n_seeds, samples > 0, started)
    return (
        f"this takes about {_duration(seconds)} on one core and {memory / 1e9:.1f} GB: {matchings}"
        f" matchings and {best} searches for best partners of {n:,} × {n:,} latents of width {d:,}"
    )


def estimate_cost(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, samples: int, started: bool
) -> tuple[float, float]:
    """Seconds on one core, and bytes."""
    matchings, best = _looks(config, n_seeds, samples > 0, started)
    coded = 2 * samples * n * d * n_seeds
    products = (_PASSES * matchings + best) * n * n * (d + _LOOKED_THROUGH) + coded
    # Dictionaries; of a pair normalised copies, and what is scrambled in blocks beside them.
    held = (8 + (4 if started else 0)) * n_seeds + 24
    return products / _PRODUCTS_A_SECOND, _AT_ALL + held * n * d + _BYTES_A_LATENT * n


def _looks(
    config: ComparisonConfig, n_seeds: int, measured: bool, started: bool
) -> tuple[int, int]:
    """Matchings, and searches for best partners, of which each matching has one beside it."""
    matched = len(matched_pairs(n_seeds, config))
    matchings = 2 * matched + config.chance_draws
    alone = n_seeds * (n_seeds - 1) // 2 - matched
    if started:
        matchings += matched
    if measured:
        gauge = matched if config.gauge_pairs is None else min(matched, config.gauge_pairs)
        # live; data; gauge, whole and live
        matchings += 2 * matched + config.chance_draws + 3 * gauge * config.gauge_draws
        alone += 2 * matched + config.permutations * min(n_seeds, config.permuted_pairs)
    return matchings, matchings + alone


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
