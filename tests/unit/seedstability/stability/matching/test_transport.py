"""Entropic transport: marginals, the limit of small ε, and bounds by the assignment."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, linprog

from seedstability.errors import UserError
from seedstability.stability.matching.transport import (
    barycentric_cosine,
    effective_partners,
    sinkhorn,
    transported_cosine,
)


def directions(n, d, seed):
    rows = np.random.default_rng(seed).standard_normal((n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


A, B = directions(30, 6, 0), directions(30, 6, 1)
S = A @ B.T


def matched():
    rows, columns = linear_sum_assignment(S, maximize=True)
    return S[rows, columns].mean(), columns


@pytest.mark.parametrize("epsilon", [0.002, 0.05, 1.0])
def test_rows_and_columns_sum_to_their_masses(epsilon):
    found = sinkhorn(S, epsilon, tolerance=1e-6, max_iterations=20_000)
    assert found.error < 1e-6
    np.testing.assert_allclose(found.plan.sum(axis=1), 1 / 30, atol=1e-6)
    np.testing.assert_allclose(found.plan.sum(axis=0), 1 / 30, rtol=1e-9)


def test_dictionaries_may_differ_in_size():
    found = sinkhorn(S[:, :12], 0.1)
    np.testing.assert_allclose(found.plan.sum(axis=0), 1 / 12, rtol=1e-9)
    np.testing.assert_allclose(found.plan.sum(axis=1), 1 / 30, atol=1e-4)


def test_small_epsilon_gives_the_assignment():
    found = sinkhorn(S, 5e-4, tolerance=1e-6, max_iterations=50_000)
    best, columns = matched()
    assert transported_cosine(found.plan, S) == pytest.approx(best, abs=1e-3)
    assert (found.plan.argmax(axis=1) == columns).all()
    assert effective_partners(found.plan) < 1.2


def test_the_plan_satisfies_the_optimality_condition():
    # The dual certificate: at the optimum log P + (1 − S) / ε is a sum of a row and a column term.
    found = sinkhorn(S, 0.2, tolerance=1e-9, max_iterations=5000)
    rest = np.log(found.plan) + (1 - S) / 0.2
    interaction = rest - rest.mean(0) - rest.mean(1, keepdims=True) + rest.mean()
    np.testing.assert_allclose(interaction, 0, atol=1e-8)


def test_small_problems_agree_with_linear_programming():
    cosines = S[:4, :5]
    found = sinkhorn(cosines, 1e-3, tolerance=1e-7, max_iterations=50_000)
    sums = [np.kron(np.eye(4), np.ones(5)), np.kron(np.ones(4), np.eye(5))]
    solved = linprog(-cosines.ravel(), A_eq=np.vstack(sums), b_eq=[1 / 4] * 4 + [1 / 5] * 5)
    assert transported_cosine(found.plan, cosines) == pytest.approx(-solved.fun, abs=5e-3)


def test_no_plan_transports_more_than_the_assignment():
    best, _ = matched()
    values = [transported_cosine(sinkhorn(S, epsilon).plan, S) for epsilon in (0.01, 0.1, 1.0)]
    assert best >= values[0] > values[1] > values[2]


def test_a_mixture_of_partners_may_be_nearer_than_each_partner():
    angle = np.array([0.0, 0.5, -0.5])
    target = np.array([[1.0, 0.0]])
    around = np.stack([np.cos(angle[1:]), np.sin(angle[1:])], axis=1)
    plan = np.array([[0.5, 0.5]])
    assert transported_cosine(plan, target @ around.T) == pytest.approx(np.cos(0.5))
    assert barycentric_cosine(plan, target, around) == pytest.approx(1.0)
    assert effective_partners(plan) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("cosines", "epsilon", "named"),
    [(S, 0.0, "above 0"), (np.full((2, 2), np.nan), 0.1, "finite"), (S[0], 0.1, "matrix")],
)
def test_invalid_cosines_and_epsilon_are_refused(cosines, epsilon, named):
    with pytest.raises(UserError, match=named):
        sinkhorn(cosines, epsilon)
