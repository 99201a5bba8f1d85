"""Caliper matching: the largest number of pairs with the smallest total distance."""

from itertools import permutations

import numpy as np

from seedstability.stability.statistics.pairing import nearest_pairs


def by_trying(first, second, caliper):
    """Largest number of pairs within the caliper, and their least sum of differences."""
    best = (0, 0.0)
    for order in permutations(range(len(second)), len(first)):
        near = [abs(first[i] - second[j]) for i, j in enumerate(order)]
        near = [each for each in near if each <= caliper]
        best = max(best, (len(near), -sum(near)))
    return best[0], -best[1]


def test_nearest_pairs_equal_exhaustive_search():
    generator = np.random.default_rng(0)
    for _ in range(30):
        first, second = generator.random(4), generator.random(6)
        rows, columns = nearest_pairs(first, second, 0.15)
        many, total = by_trying(first, second, 0.15)
        assert len(rows) == many
        assert np.isclose(np.abs(first[rows] - second[columns]).sum(), total)


def test_nearest_pairs_are_disjoint_and_within_the_caliper():
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=60), generator.normal(1.0, 1.0, size=40)
    rows, columns = nearest_pairs(first, second, 0.1)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert np.abs(first[rows] - second[columns]).max() <= 0.1


def test_optimal_matching_keeps_a_pair_that_greedy_would_lose():
    # 1.0 is nearest to 1.1, but then 1.2 has no partner within the caliper
    rows, columns = nearest_pairs(np.array([1.0, 1.2]), np.array([0.86, 1.1]), 0.15)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [0, 1]


def test_number_of_pairs_has_priority_over_distance():
    # two pairs could be nine times as near, but then the third latent has no partner
    first, second = np.array([1.0, 2.0, 3.0]), np.array([0.1, 1.1, 2.1])
    rows, columns = nearest_pairs(first, second, 1.0)
    assert rows.tolist() == [0, 1, 2]
    assert columns.tolist() == [0, 1, 2]


def test_groups_without_members_within_the_caliper_have_no_pairs():
    assert len(nearest_pairs(np.array([0.0]), np.array([1.0]), 0.5)[0]) == 0
    assert len(nearest_pairs(np.empty(0), np.array([1.0]), 0.5)[0]) == 0
