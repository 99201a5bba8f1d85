"""Dip test against its definition, and beta mixtures against planted groups."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from seedstability.stability.statistics import modality as mixture


def unimodal_distance(values: np.ndarray) -> float:
    """The dip by its definition: for each location of the mode, a linear program over functions
    that are convex before it and concave after it, with a jump allowed at the mode."""
    x, n = np.sort(values), len(values)
    return min(_with_mode_at(x, n, mode) for mode in range(n))


def _with_mode_at(x: np.ndarray, n: int, mode: int) -> float:
    before, distance = (
        n,
        n + 1,
    )  # besides the n values: the value just before the jump, and the distance
    rows: list[np.ndarray] = []
    bounds: list[float] = []

    def at_most(terms: list[tuple[int, float]], bound: float) -> None:
        row = np.zeros(n + 2)
        for column, factor in terms:
            row[column] += factor
        rows.append(row)
        bounds.append(bound)

    for i in range(n):
        lower, upper = (i + 1) / n, (i if i != mode else i + 1) / n
        at_most([(i, -1), (distance, -1)], -lower)
        at_most([(i, 1), (distance, -1)], upper)
    at_most([(before, -1), (distance, -1)], -mode / n)
    at_most([(before, 1), (distance, -1)], mode / n)
    at_most([(before, 1), (mode, -1)], 0)
    left, right = [*range(mode), before], list(range(mode, n))
    for columns, points, sign in ((left, x[: mode + 1], 1), (right, x[mode:], -1)):
        for a, b in pairwise(columns):
            at_most([(a, 1), (b, -1)], 0)
        widths = np.diff(points)
        for k in range(len(columns) - 2):
            a, b, c = columns[k : k + 3]
            one, other = sign / widths[k], sign / widths[k + 1]
            at_most([(b, one), (a, -one), (c, -other), (b, other)], 0)
    cost = np.zeros(n + 2)
    cost[distance] = 1
    return linprog(cost, A_ub=np.array(rows), b_ub=bounds, bounds=[(0, 1)] * (n + 2)).fun


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("n", [3, 8, 17])
def test_the_dip_is_the_distance_to_the_nearest_unimodal_distribution(groups, n):
    generator = np.random.default_rng(100 * groups + n)
    values = generator.standard_normal(n) + 4 * generator.integers(0, groups, n)
    assert mixture.dip(values) == pytest.approx(unimodal_distance(values), abs=1e-9)


def test_the_dip_of_two_points_far_apart_is_a_quarter():
    values = np.concatenate([np.linspace(0, 1e-3, 500), np.linspace(1, 1.001, 500)])
    assert mixture.dip(values) == pytest.approx(0.25, abs=2e-3)


def test_the_dip_is_invariant_to_scale_and_reflection():
    values = np.random.default_rng(0).standard_normal(200)
    assert mixture.dip(3 - 7 * values) == pytest.approx(mixture.dip(values), abs=1e-9)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, np.nan]])
def test_the_dip_needs_two_finite_values(values):
    with pytest.raises(ValueError, match="at least two"):
        mixture.dip(np.array(values))


def test_skewed_unimodal_samples_are_rarely_rejected():
    generator = np.random.default_rng(1)
    found = [mixture.dip_excess(2 * generator.beta(6, 1.2, 300) - 1) > 0 for _ in range(100)]
    assert np.mean(found) <= 0.05


def test_dip_test_has_nominal_level_on_uniform_samples():
    generator = np.random.default_rng(2)
    found = [mixture.dip_excess(generator.random(300)) > 0 for _ in range(300)]
    assert 0.01 <= np.mean(found) <= 0.09


def test_the_two_modes_of_the_report_would_be_detected():
    generator = np.random.default_rng(3)
    values = np.concatenate([generator.normal(0.33, 0.12, 240), generator.normal(0.85, 0.08, 270)])
    one, two = mixture.beta_mixture(values, 1), mixture.beta_mixture(values, 2)
    assert mixture.dip_excess(values) > 0
    assert mixture.dip_p_value(values) < 0.01
    assert one.bic - two.bic > 10.0  # very strong evidence (Kass & Raftery 1995)
    assert two.means == pytest.approx((0.33, 0.85), abs=0.03)
    assert two.weights == pytest.approx((240 / 510, 270 / 510), abs=0.04)
    assert two.valley < 0.5


def test_bic_prefers_one_group_for_unimodal_samples():
    values = 2 * np.random.default_rng(4).beta(5, 2, 500) - 1
    one, two = mixture.beta_mixture(values, 1), mixture.beta_mixture(values, 2)
    assert one.bic < two.bic
    assert one.valley == 1.0
    assert one.means[0] == pytest.approx(values.mean(), abs=0.01)


def test_a_density_integrates_to_one():
    fitted = mixture.BetaMixture((0.4, 0.6), (3.0, 20.0), (5.0, 4.0), 0.0)
    points = (np.arange(2000) + 0.5) / 2000
    assert fitted.density(points).mean() == pytest.approx(1.0, abs=1e-3)


def test_larger_samples_detect_smaller_separations():
    few, many = (mixture.detectable_separation(n, draws=40) for n in (32, 1024))
    assert 2.0 < many < few


@pytest.mark.parametrize(("cosines", "groups"), [([], 1), ([np.inf], 1), ([0.5, 0.6], 3)])
def test_invalid_mixture_inputs_are_refused(cosines, groups):
    with pytest.raises(ValueError, match="1 or 2 beta distributions"):
        mixture.beta_mixture(np.array(cosines), groups)
