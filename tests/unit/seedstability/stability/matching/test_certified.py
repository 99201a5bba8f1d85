"""Certified matching: equal to SciPy's for all kinds of dictionaries, with valid certificates."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from helpers.stability_data import half_shared_with_hubs, nearly_all_shared, unrelated
from seedstability.stability.matching import certified, passes
from seedstability.stability.matching.blocks import Method
from seedstability.stability.matching.certified import Solution, assign, best_assignment

KINDS = (unrelated, half_shared_with_hubs, nearly_all_shared)


def products(A: Tensor, B: Tensor) -> np.ndarray:
    return (A.double() @ B.double().T).numpy()


def best_total(S: np.ndarray) -> float:
    return S[linear_sum_assignment(S, maximize=True)].sum()


def solved(A: Tensor, B: Tensor, cores: int = 1) -> Solution:
    return best_assignment(A, B, cores, lambda share: None)


def assert_proven(solution: Solution, A: Tensor, B: Tensor, slack: float = 1e-8) -> None:
    """Check that a solution is one-to-one, optimal as by SciPy, and certified by its prices."""
    S = products(A, B)
    rows = np.flatnonzero(solution.columns >= 0)
    columns = solution.columns[rows]
    assert len(rows) == min(S.shape) == len(set(columns.tolist()))
    np.testing.assert_allclose(solution.scores[rows], S[rows, columns], atol=1e-12)
    total = solution.scores[rows].sum()
    assert total == pytest.approx(best_total(S), abs=1e-9)

    u, v = solution.row_prices, solution.column_prices
    assert (S - u[:, None] - v).max() <= 1e-12
    if S.shape[0] < S.shape[1]:
        assert v.min() >= 0
    if S.shape[0] > S.shape[1]:
        assert u.min() >= 0
    assert u.sum() + v.sum() - total <= solution.bound <= slack


@pytest.mark.parametrize("method", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_total_and_partners_equal_scipys_with_a_valid_certificate(kind, method: Method):
    A, B = kind(700, 48)
    solution = assign(A, B, method=method)
    assert_proven(solution, A, B)
    assert solution.columns.tolist() == linear_sum_assignment(-products(A, B))[1].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_either_dictionary_may_have_more_latents(kind):
    A, B = kind(600, 32)
    assert_proven(solved(A[:450], B), A[:450], B)
    assert_proven(solved(A, B[:599]), A, B[:599])


def test_result_does_not_depend_on_the_number_of_cores():
    A, B = half_shared_with_hubs(900, 32)
    one, two = solved(A, B, cores=1), solved(A, B, cores=2)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def copies_in(A: Tensor, where: slice) -> Tensor:
    A = A.clone()
    A[where] = A[0]
    return A


def zeros_in(A: Tensor, where: slice) -> Tensor:
    A = A.clone()
    A[where] = 0.0
    return A


@pytest.mark.parametrize("rows", [400, 330])
@pytest.mark.parametrize(
    ("of_a", "of_b"),
    [
        (copies_in, None),
        (None, copies_in),
        (copies_in, copies_in),
        (zeros_in, None),
        (None, zeros_in),
        (zeros_in, zeros_in),
    ],
)
def test_copies_and_rows_of_zeros_are_matched_optimally(of_a, of_b, rows):
    A, B = half_shared_with_hubs(400, 24)
    A = A[:rows] if of_a is None else of_a(A[:rows], slice(100, 190))
    B = B if of_b is None else of_b(B, slice(50, 170))
    assert_proven(solved(A, B), A, B)
    assert_proven(solved(B, A), B, A)


def test_rows_with_only_negative_cosines_get_a_row_of_zeros():
    A, B = unrelated(200, 16)
    A, B = zeros_in(A.abs(), slice(0, 200, 4)), zeros_in(-B.abs(), slice(0, 200, 3))
    assert_proven(solved(A, B), A, B)
    assert_proven(solved(A[:150], B), A[:150], B)


def test_all_zero_and_single_latent_dictionaries():
    zero = torch.zeros(5, 8)
    A, B = unrelated(5, 8)
    for left, right in ((zero, B), (A, zero), (zero, zero), (A[:1], B), (A, B[:1])):
        assert_proven(solved(left, right), left, right)


def test_opposite_dictionaries_have_a_negative_total():
    A, B = unrelated(300, 8)
    A, B = A.abs(), -B.abs()
    solution = solved(A, B)
    assert_proven(solution, A, B)
    assert np.nansum(solution.scores) < 0


def test_early_stop_returns_a_valid_bound(monkeypatch):
    A, B = half_shared_with_hubs(500, 24)
    monkeypatch.setattr(certified, "_MOST_PRICINGS", 1)
    monkeypatch.setattr(passes, "_ROW_CANDIDATES", 1)
    monkeypatch.setattr(passes, "_COLUMN_CANDIDATES", 1)
    for left in (A, A[:400]):
        solution = solved(left, B)
        S = products(left, B)
        u, v = solution.row_prices, solution.column_prices
        assert (S - u[:, None] - v).max() <= 1e-12
        total = np.nansum(solution.scores)
        assert best_total(S) - 1e-9 <= total + solution.bound
        assert 1e-6 < solution.bound < 500


def test_overfull_rows_still_get_a_valid_certificate(monkeypatch):
    monkeypatch.setattr(certified, "_CAPACITY", 8)
    monkeypatch.setattr(certified, "_MOST", 16)
    A = unrelated(300, 8)[0][:1].expand(300, -1).contiguous()
    solution = solved(A, A)
    S = products(A, A)
    assert (S - solution.row_prices[:, None] - solution.column_prices).max() <= 1e-12
    # all pairs are equal, so pairs that were not scanned differ only by rounding
    assert solution.bound < 300 * 0.02
    assert np.nansum(solution.scores) == pytest.approx(S[0, 0] * 300)


def test_pairs_missed_by_a_full_row_raise_its_price(monkeypatch):
    for name in ("_CAPACITY", "_MOST"):
        monkeypatch.setattr(certified, name, 8)
    # All nearly equal: bfloat16 cannot resolve which pairs of a row are best.
    common = torch.ones(16)
    A, B = (normalize(common + 0.01 * noise) for noise in unrelated(400, 16))
    solution = assign(A, B, method="bfloat16")
    S = products(A, B)
    assert (S - solution.row_prices[:, None] - solution.column_prices).max() <= 1e-12
    assert best_total(S) <= solution.scores.sum() + solution.bound
    assert 1e-6 < solution.bound < 400 * 0.03


def test_rows_of_zeros_get_columns_of_price_zero():
    A, B = unrelated(200, 2)
    # prices start at column means, of which half are negative here
    A, B = zeros_in(A, slice(0, 40)), zeros_in(B, slice(50, 90))
    assert_proven(solved(A, B), A, B)
    assert_proven(solved(A, B[:180]), A, B[:180])


def test_progress_ends_near_one():
    seen: list[float] = []
    best_assignment(*half_shared_with_hubs(600, 16), 1, seen.append)
    assert all(0 <= share <= 1 for share in seen)
    assert seen[-1] > 0.9
