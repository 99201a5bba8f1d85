"""How thoroughly dictionaries are compared. No torch here."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ComparisonConfig:
    """Which pairs get the dear statistics, and how often chance is drawn."""

    neighbours: int = 1
    """One-to-one matching takes tens of milliseconds a pair, best partners two. All pairs get the
    latter; matching is for each seed with so many next ones, in a ring, and for all pairs of
    the first `complete` seeds."""
    complete: int = 5
    """Seeds at the front of which every pair is matched: a report's own count."""
    threshold: float = 0.7
    """Cosine from which two latents count as the same."""
    chance_draws: int = 10
    """Pairs drawn for the isotropic level of matched cosines and for the data level."""
    gauge_pairs: int | None = None
    """Matched pairs that get a gauge level of their own; all if left out. With fewer, the mean over
    those is the level of all."""
    gauge_draws: int = 1
    """Scrambles of each of these pairs."""
    permutations: int = 99
    """Gauge scrambles of the whole set behind each p-value; 0 leaves p-values out."""
    permuted_pairs: int = 5
    """Neighbouring pairs whose mean is the statistic of that test."""
    seed: int = 0
    """Draws every chance level."""


_LATENTS_DRAWN = 10 * 1024
"""A mean cosine over n latents of unrelated dictionaries spreads as 0.2 to 0.5 / √(n d), measured
from n = 16, d = 8 to n = 1,024, d = 768: by 0.001 at n = 1,024, d = 128. So many latents in all the
draws of a level, the paper's ten of 1,024, fix it to a third of that, whatever n."""
_MOST_DRAWS = 200
_LATENTS_OF_EVERY_GAUGE = 16_384
"""Above, a matching takes some ten seconds to minutes, and the levels of single pairs differ by
less than is printed."""
_CHEAP_PRODUCTS = 4e12
"""Multiplications that take about a minute on one core."""


def config_for_size(
    config: ComparisonConfig, n: int, d: int, n_seeds: int, matched: int
) -> ComparisonConfig:
    """As the paper measures 1,024 latents, for `n`: many need fewer draws, few need more.

    Args:
        config: for 1,024 latents.
        n, d: size of the dictionaries.
        n_seeds: how many there are.
        matched: pairs that are matched one to one.
    """
    draws = max(1, min(-(-_LATENTS_DRAWN // n), _MOST_DRAWS))
    few = n > _LATENTS_OF_EVERY_GAUGE
    dear = config.permutations * min(n_seeds, config.permuted_pairs) * n * n * d > _CHEAP_PRODUCTS
    return replace(
        config,
        chance_draws=draws,
        gauge_pairs=1 if few else config.gauge_pairs,
        gauge_draws=1 if few else -(-draws // matched),
        permutations=0 if dear else config.permutations,
    )
