"""Settings of a comparison of dictionaries, how they scale with size, and the pairs they choose."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ComparisonConfig:
    """Which pairs get the expensive statistics, and how many samples chance levels have."""

    neighbours: int = 1
    """Number of next seeds, in a ring, with which each seed is matched one-to-one. Matching takes
    tens of milliseconds per pair; best partners take two, and all pairs get them."""
    complete: int = 5
    """Number of first seeds of which every pair is matched one-to-one."""
    threshold: float = 0.7
    """Cosine from which two latents count as the same."""
    chance_draws: int = 10
    """Random pairs for the isotropic level of matched cosines and for the data level."""
    gauge_pairs: int | None = None
    """Number of matched pairs with a gauge level; all if `None`. With fewer, their mean is the
    level of all pairs."""
    gauge_draws: int = 1
    """Gauge scrambles of each of these pairs."""
    permutations: int = 99
    """Gauge scrambles of the whole set for each p-value, at most; 0 disables p-values."""
    enough_exceedances: int | None = None
    """Stop scrambling once so many reach the observed value of every statistic: p is then large,
    and known to about 1/√ of that number (Besag & Clifford, 1991). `None` never stops."""
    permuted_pairs: int = 5
    """Number of neighboring pairs whose mean is the statistic of that test."""
    seed: int = 0
    """Random seed of all chance levels."""


_LATENTS_DRAWN = 10 * 1024
"""Total number of latents over the samples of a chance level, as in the paper: ten of 1,024.

A mean cosine over n latents of unrelated dictionaries has standard deviation 0.2 to 0.5 / √(n d),
measured from n = 16, d = 8 to n = 1,024, d = 768: 0.001 at n = 1,024, d = 128. The level then has a
third of that, for any n."""
_MOST_DRAWS = 200
_LATENTS_OF_EVERY_GAUGE = 16_384
"""Above, a matching takes ten seconds to minutes, and levels of single pairs differ by less than
the printed digits."""
_ENOUGH = 10
"""Exceedances: p to about a third. Only p-values above 0.1 stop before 99 scrambles."""
_CHEAP_PRODUCTS = 4e12
"""Multiplications that take about a minute on one core."""


def config_for_size(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, matched: int
) -> ComparisonConfig:
    """Adapt settings for 1,024 latents to `n`: more latents need fewer samples, fewer need more.

    Args:
        config: settings for 1,024 latents.
        n, d: size of the dictionaries.
        n_seeds: number of dictionaries.
        matched: number of pairs that are matched one-to-one.
    """
    draws = max(1, min(-(-_LATENTS_DRAWN // n), _MOST_DRAWS))
    large = n > _LATENTS_OF_EVERY_GAUGE
    expensive = (
        config.permutations * min(n_seeds, config.permuted_pairs) * n * n * d > _CHEAP_PRODUCTS
    )
    return replace(
        config,
        chance_draws=draws,
        gauge_pairs=1 if large else config.gauge_pairs,
        gauge_draws=1 if large else -(-draws // matched),
        permutations=0 if expensive else config.permutations,
        enough_exceedances=_ENOUGH,
    )


def matched_pairs(n_seeds: int, config: ComparisonConfig) -> list[tuple[int, int]]:
    """Pairs of seeds that are matched one-to-one, each once, smaller index first."""
    ring = {
        tuple(sorted((i, (i + step) % n_seeds)))
        for i in range(n_seeds)
        for step in range(1, config.neighbours + 1)
    }
    front = range(min(config.complete, n_seeds))
    complete = {(i, j) for i in front for j in front if i < j}
    return sorted((i, j) for i, j in ring | complete if i != j)
