"""Estimated time and memory of a comparison."""

from seedstability.similarity.config import ComparisonConfig, matched_pairs

_MIN_SECONDS = 20.0
_START_SECONDS = 3.5
"""Imports, and what a comparison of any size takes: 4.1 s measured for two of 1,024 latents."""
_SOLVER_SECONDS, _SOLVED_WHOLE = 7e-8, 2048
"""Time of SciPy's assignment, in units of the number of cosines, and up to how many latents it is
used: 0.07 s measured at 1,024 latents with the spectrum of a residual stream."""
_ENCODING = 1.2
"""Products of samples with all latents: encoding, and some for what few active ones reconstruct."""
_MULTIPLY_ADDS_PER_SECOND = 5.5e10
"""On one core of a server of 2023, in single precision. A processor with half-precision products is
up to three times as fast at matching."""
_PASSES = 3
"""Passes over all products per matching, including the work in between: 1.9 to 3.2 measured at
16,384 latents of width 256."""
_SCAN_WIDTH, _BEST_SCAN_WIDTH = 40, 300
"""What is done with each cosine takes as long as this much additional width: of a pass of matching,
which looks for large ones, and of a search for best partners, which takes four extremes. With these
numbers the forecasts of `benchmarks/compare.py` are 0.8 to 1.3 times what was measured."""
_BASE_BYTES = 0.6e9
"""Bytes without any dictionary."""
_BYTES_PER_LATENT = 10_000


def cost_message(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, samples: int, has_initial: bool
) -> str | None:
    """One line on time and memory if the comparison takes more than 20 s, else `None`."""
    seconds, memory = estimate_cost(config, n, d, n_seeds, samples, has_initial)
    if seconds < _MIN_SECONDS:
        return None
    matchings, best = _counts(config, n_seeds, samples > 0, has_initial)
    return (
        f"this takes about {_duration(seconds)} on one core and {memory / 1e9:.1f} GB: {matchings}"
        f" matchings and {best} searches for best partners of {n:,} × {n:,} latents of width {d:,}"
    )


def estimate_cost(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, samples: int, has_initial: bool
) -> tuple[float, float]:
    """Seconds on one core, and bytes of memory."""
    matchings, best = _counts(config, n_seeds, samples > 0, has_initial)
    encoding = _ENCODING * samples * n * d * n_seeds
    passes = _PASSES * matchings * (d + _SCAN_WIDTH) + best * (d + _BEST_SCAN_WIDTH)
    products = n * n * passes + encoding
    # Dictionaries, normalized copies of a pair, and the blocks that are scrambled.
    held = (8 + (4 if has_initial else 0)) * n_seeds + 24
    seconds = _START_SECONDS + products / _MULTIPLY_ADDS_PER_SECOND
    if n <= _SOLVED_WHOLE:
        seconds += matchings * n * n * _SOLVER_SECONDS
    return seconds, _BASE_BYTES + held * n * d + _BYTES_PER_LATENT * n


def _counts(
    config: ComparisonConfig, n_seeds: int, measured: bool, has_initial: bool
) -> tuple[int, int]:
    """Number of matchings, and of searches for best partners, of which each matching has one."""
    matched = len(matched_pairs(n_seeds, config))
    matchings = 2 * matched + config.chance_draws
    alone = n_seeds * (n_seeds - 1) // 2 - matched
    if has_initial:
        matchings += matched
    if measured:
        gauge = matched if config.gauge_pairs is None else min(matched, config.gauge_pairs)
        # live; data; gauge, whole and live
        matchings += 2 * matched + config.chance_draws + 3 * gauge * config.gauge_draws
        alone += 2 * matched + config.permutations * min(n_seeds, config.permuted_pairs)
    return matchings, matchings + alone


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
