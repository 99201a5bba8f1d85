"""Stratified means over several groups of seeds."""

import numpy as np
import pytest

from seedstability.stability.statistics.jackknife import jackknife
from seedstability.stability.statistics.power import minimum_detectable_effect
from seedstability.stability.statistics.strata import minimum_detectable_mean, stratified_mean


def groups(sizes, level=0.0, seed=0):
    generator = np.random.default_rng(seed)
    return [jackknife(generator.normal(level, 1.0, size)) for size in sizes]


def test_mean_of_one_stratum_is_its_estimate():
    (alone,) = groups([8])
    pooled = stratified_mean([alone], [8])
    for name in ("mean", "low", "high", "low90", "high90", "standard_error", "label"):
        assert getattr(pooled, name) == pytest.approx(getattr(alone, name)), name
    sd = alone.standard_error * 8**0.5
    assert minimum_detectable_mean([alone], [8]) == pytest.approx(
        minimum_detectable_effect(sd, 8, paired=True)
    )


def test_strata_have_equal_weights():
    found = groups([5, 20])
    assert stratified_mean(found, [5, 20]).mean == pytest.approx(
        (found[0].mean + found[1].mean) / 2
    )


def test_stratified_interval_has_nominal_coverage():
    sizes = [10, 5, 5]
    hits = 0
    for seed in range(400):
        interval = stratified_mean(groups(sizes, 0.3, seed), sizes)
        hits += interval.low <= 0.3 <= interval.high
    assert 0.92 <= hits / 400 <= 0.98


def test_strata_without_variance_have_an_interval_of_zero_width():
    still = [jackknife(np.full(5, 0.5))] * 2
    pooled = stratified_mean(still, [5, 5])
    assert pooled.low == pooled.high == 0.5
