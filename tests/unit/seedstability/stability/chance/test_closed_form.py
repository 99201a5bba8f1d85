"""Closed-form chance levels against the published table, known integrals, and simulation."""

import math

import numpy as np
import pytest
import torch

from helpers.pair_similarities import pair_similarities
from seedstability.stability.chance.closed_form import (
    chance_level,
    chance_level_pair,
    chance_quantile,
    chance_reproducibility,
    chance_std,
    corrected_for_chance,
)
from seedstability.stability.chance.null_models import isotropic
from seedstability.stability.cosine import cosines, two_way_mean
from seedstability.stability.recurrence import reproducibility

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)

# definitions.md §2
TABLE = [
    (1024, 128, 0.2827, 0.2988),
    (128, 768, 0.0935, 0.1018),
    (512, 768, 0.1096, 0.1169),
    (3072, 768, 0.1277, 0.1341),
    (16384, 768, 0.1427, 0.1485),
    (32768, 768, 0.1485, 0.1541),
    (131072, 768, 0.1594, 0.1647),
]


@pytest.mark.parametrize(("n", "d", "signed", "size"), TABLE)
def test_closed_form_equals_the_table_of_the_definitions(n, d, signed, size):
    assert round(chance_level(n, d, "max_cosine"), 4) == signed
    assert round(chance_level(n, d, "max_abs_cosine"), 4) == size


def test_one_candidate_on_the_circle():
    assert chance_level(1, 2, "max_cosine") == pytest.approx(0.0, abs=1e-9)
    assert chance_level(1, 2, "max_abs_cosine") == pytest.approx(2 / math.pi, abs=1e-9)
    assert chance_std(1, 2, "max_cosine") == pytest.approx(math.sqrt(0.5), abs=1e-9)


def test_cosines_on_the_sphere_of_three_dimensions_are_uniform():
    # So the best of n is the maximum of n uniform numbers, with a known distribution.
    for n in (1, 5, 50):
        assert chance_level(n, 3) == pytest.approx(n / (n + 1), abs=1e-9)
        variance = n / ((n + 1) ** 2 * (n + 2))
        assert chance_std(n, 3) == pytest.approx(math.sqrt(variance), abs=1e-7)
        assert chance_quantile(0.5, n, 3) == pytest.approx(0.5 ** (1 / n))
        assert chance_quantile(0.5, n, 3, "max_cosine") == pytest.approx(2 * 0.5 ** (1 / n) - 1)
        assert chance_reproducibility(n, 3, 0.7) == pytest.approx(1 - 0.85**n)
    assert chance_reproducibility(2, 3, -0.5) == pytest.approx(1 - 0.25**2)


def test_unequal_dictionaries_average_the_two_directions():
    both = (chance_level(42, 768), chance_level(86, 768))
    assert chance_level_pair(42, 86, 768) == pytest.approx(sum(both) / 2)
    assert chance_level_pair(42, 86, 768) == chance_level_pair(86, 42, 768)


@pytest.mark.parametrize(("n_a", "n_b", "d"), [(64, 64, 16), (64, 20, 16), (128, 128, 768)])
@pytest.mark.parametrize("kind", ["max_cosine", "max_abs_cosine"])
def test_closed_form_equals_the_mean_of_draws(n_a, n_b, d, kind):
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(300):
        S = cosines(isotropic(n_a, d, generator), isotropic(n_b, d, generator))
        drawn.append(two_way_mean(S.abs() if kind == "max_abs_cosine" else S))
    error = np.std(drawn) / math.sqrt(300)
    assert np.mean(drawn) == pytest.approx(chance_level_pair(n_a, n_b, d, kind), abs=4 * error)


def test_quantile_and_std_of_the_best_cosine_equal_draws():
    generator = torch.Generator().manual_seed(0)
    best = np.concatenate(
        [
            cosines(isotropic(400, 12, generator), isotropic(30, 12, generator)).amax(dim=1)[::40]
            for _ in range(300)
        ]
    )
    assert best.std() == pytest.approx(chance_std(30, 12, "max_cosine"), rel=0.06)
    below = np.mean(best <= chance_quantile(0.9, 30, 12, "max_cosine"))
    assert below == pytest.approx(0.9, abs=0.025)


@pytest.mark.parametrize(
    ("n_a", "n_b", "median", "mean"),
    [
        (128, 128, 0.0865, 0.0876),
        (42, 42, 0.0708, 0.0719),
        (63, 78, 0.0818, 0.0832),
        (300, 300, 0.0972, 0.0985),
    ],
)
def test_sampled_matched_cosines_equal_those_of_the_definitions(n_a, n_b, median, mean):
    generator = torch.Generator().manual_seed(1)
    drawn = [
        pair_similarities(isotropic(n_a, 768, generator), isotropic(n_b, 768, generator))
        for _ in range(150)
    ]
    medians = [each.matched_median for each in drawn]
    assert np.mean(medians) == pytest.approx(median, abs=0.0008)
    assert np.mean([each.matched_mean for each in drawn]) == pytest.approx(mean, abs=0.0008)
    if n_a == 128:
        assert np.std(medians, ddof=1) == pytest.approx(0.0016, abs=0.0003)


@pytest.mark.parametrize("rank", [16, 20, 32])
def test_chance_reproducibility_at_low_rank_equals_draws(rank):
    generator = torch.Generator().manual_seed(0)
    decoders = torch.stack([isotropic(1024, rank, generator) for _ in range(6)])
    expected = chance_reproducibility(1024, rank)
    assert reproducibility(decoders).mean().item() == pytest.approx(expected, abs=0.02)
    # definitions.md §3 simulated 0.57, 0.18, 0.003
    assert expected == pytest.approx({16: 0.57, 20: 0.18, 32: 0.003}[rank], abs=0.025)


def test_chance_correction_near_one_is_a_difference():
    assert corrected_for_chance(0.65, 0.3) == pytest.approx(0.5)
    assert corrected_for_chance(0.3, 0.3) == 0.0
    assert corrected_for_chance(0.89 + 0.055, 0.89) == pytest.approx(0.5)
    assert corrected_for_chance(0.97, 0.95) == pytest.approx(0.02)
    assert corrected_for_chance(1.0, 1.0) == 0.0


@pytest.mark.parametrize("sizes", [(0, 128), (10, 1), (-3, 5)])
def test_impossible_sizes_are_refused(sizes):
    for function in (chance_level, chance_std, chance_reproducibility):
        with pytest.raises(ValueError, match="no dictionary"):
            function(*sizes)
    with pytest.raises(ValueError, match="no dictionary"):
        chance_quantile(0.5, *sizes)


def test_unknown_kinds_and_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="'max_cosine' or 'max_abs_cosine'"):
        chance_level(4, 4, "pwmcc")
    with pytest.raises(ValueError, match="between 0 and 1"):
        chance_quantile(1.0, 4, 4)
