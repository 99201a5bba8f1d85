"""Estimated time and memory of a comparison."""

import re

from seedstability.similarity.config import ComparisonConfig, config_for_size
from seedstability.similarity.cost import cost_message


def said(n: int, d: int, n_seeds: int, samples: int = 0, has_initial: bool = False) -> str | None:
    pairs = n_seeds * (n_seeds - 1) // 2
    return cost_message(
        config_for_size(ComparisonConfig(), n, d, n_seeds, pairs),
        n,
        d,
        n_seeds,
        samples,
        has_initial,
    )


def test_short_comparisons_have_no_cost_message():
    assert said(1024, 128, 5, samples=10_000, has_initial=True) is None


def test_costs_of_less_than_a_minute_and_a_half_are_said_in_seconds():
    assert said(4096, 768, 3) is None
    line = said(2048, 768, 3, samples=16_384)
    seconds = re.search(r"about (\d+) s on one core", line)
    assert seconds
    assert 20 <= int(seconds[1]) < 90


def test_cost_message_counts_matchings():
    # Two certified matchings of the pair, one of chance.
    line = said(131_072, 768, 2)
    assert "3 matchings" in line
    assert "131,072 × 131,072 latents of width 768" in line
    assert " min on one core" in line
    # Live: two; data: one; gauge: three.
    assert "9 matchings" in said(131_072, 768, 2, samples=100)
    assert "10 matchings" in said(131_072, 768, 2, samples=100, has_initial=True)
    assert " h on one core" in said(131_072, 768, 5)
