"""Beta-binomial model of recurrence: closed forms, predictions from few seeds, and the fit."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import betabinom

from seedstability.errors import UserError
from seedstability.stability.statistics.beta_binomial import (
    BetaLaw,
    beta_binomial_fit,
    law_from_unshared,
    total_variation_distance,
    unshared_and_unanimous_shares,
)


def test_the_fifth_report_implies_a_quarter_unshared_with_four_others():
    law = law_from_unshared(0.47, 0.35)
    assert (round(law.a, 2), round(law.b, 2)) == (0.49, 0.44)
    assert [round(100 * law.unshared(m)) for m in (4, 9, 19)] == [25, 17, 12]
    assert (law.unshared(1), law.unshared(2)) == pytest.approx((0.47, 0.35))


def test_closed_forms_equal_means_over_sampled_latents():
    law = BetaLaw(0.4, 0.7)
    p = np.random.default_rng(0).beta(law.a, law.b, size=400_000)
    for m in (1, 4, 19):
        assert law.unshared(m) == pytest.approx(((1 - p) ** m).mean(), abs=2e-3)
        assert law.unanimous(m) == pytest.approx((p**m).mean(), abs=2e-3)
    assert law.share_above(0.95) == pytest.approx((p >= 0.95).mean(), abs=2e-3)
    assert law.mean == pytest.approx(p.mean(), abs=2e-3)


def test_expected_counts_follow_the_beta_binomial_distribution():
    law = BetaLaw(0.3, 2.0)
    np.testing.assert_allclose(law.counts_pmf(9), betabinom.pmf(np.arange(10), 9, law.a, law.b))
    assert law.counts_pmf(9)[0] == pytest.approx(law.unshared(9))
    assert law.counts_pmf(9)[-1] == pytest.approx(law.unanimous(9))


@pytest.mark.parametrize(("one", "two"), [(0.5, 0.25), (0.5, 0.2), (0.5, 0.5), (0.5, 0.6), (1, 1)])
def test_shares_of_no_beta_distribution_are_refused(one, two):
    with pytest.raises(UserError, match="no beta distribution"):
        law_from_unshared(one, two)


def test_shares_with_fewer_seeds_equal_the_mean_over_all_choices():
    found = np.random.default_rng(0).random((30, 6)) < 0.6
    counts = found.sum(axis=1)
    for m in (1, 2, 4, 6):
        chosen = [found[:, list(some)] for some in combinations(range(6), m)]
        none = np.mean([~some.any(axis=1) for some in chosen])
        every = np.mean([some.all(axis=1) for some in chosen])
        assert unshared_and_unanimous_shares(counts, 6, m) == pytest.approx((none, every))


@pytest.mark.parametrize("others", [0, 7])
def test_more_seeds_than_counted_are_refused(others):
    with pytest.raises(UserError, match="1 to 6, the seeds"):
        unshared_and_unanimous_shares(np.array([1, 2]), 6, others)


def test_total_variation_distance_by_hand():
    assert total_variation_distance(
        np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    ) == pytest.approx(0.1)
    assert total_variation_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0


@pytest.mark.parametrize(("a", "b", "trials"), [(0.3, 0.2, 4), (0.05, 0.08, 9), (5.0, 2.0, 19)])
def test_fit_recovers_the_beta_distribution(a, b, trials):
    rng = np.random.default_rng(0)
    p = rng.beta(a, b, size=20_000)
    fit = beta_binomial_fit(rng.binomial(trials, p), trials)
    assert (fit.a, fit.b) == pytest.approx((a, b), rel=0.08)
    assert fit.mean == pytest.approx(a / (a + b), abs=0.01)
    assert fit.two_camps == (a < 1)
    assert fit.camps.stable == pytest.approx((p >= 0.95).mean(), abs=0.015)
    assert fit.camps.unstable == pytest.approx((p <= 0.05).mean(), abs=0.015)


def test_fit_maximizes_the_likelihood():
    counts = np.repeat([0, 1, 2, 3, 4], [50, 5, 4, 6, 35])
    fit = beta_binomial_fit(counts, 4)

    def log_likelihood(a, b):
        from scipy.special import comb
        from scipy.stats import betabinom

        return (betabinom.logpmf(counts, 4, a, b) - np.log(comb(4, counts))).sum()

    assert fit.log_likelihood == pytest.approx(log_likelihood(fit.a, fit.b))
    for a, b in ((1.1, 1.0), (0.9, 1.0), (1.0, 1.1), (1.0, 0.9)):
        assert log_likelihood(fit.a * a, fit.b * b) < fit.log_likelihood


def test_equal_counts_fit_at_the_boundary():
    assert beta_binomial_fit(np.zeros(50, int), 4).camps.unstable > 0.999
    assert beta_binomial_fit(np.full(50, 4), 4).camps.stable > 0.999
    assert beta_binomial_fit(np.full(50, 2), 4).camps.between > 0.999


def test_counts_out_of_range_are_refused():
    for counts, trials in (([0, 5], 4), ([-1], 4), ([], 4), ([0], 0)):
        with pytest.raises(UserError, match="number of other seeds"):
            beta_binomial_fit(np.array(counts, dtype=int), trials)
