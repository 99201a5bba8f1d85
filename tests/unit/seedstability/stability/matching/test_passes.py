"""Components of the certified matching, each against a plain version."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from helpers.repository import CODE
from helpers.stability_data import half_shared_with_hubs, unrelated
from seedstability.stability.cosine import cosines, two_way_mean
from seedstability.stability.matching.blocks import (
    RoundedRows,
    faster_method,
    relative_rounding,
    round_rows,
    stripes,
    visit_blocks,
    within_bounds,
)
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.matching.passes import Pairs, Passes
from seedstability.stability.matching.prices import dual_prices
from seedstability.stability.matching.sparse import Assignment, Graph, merge_pairs


def ignore(share: float) -> None:
    pass


def rows_that_round_together() -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows; all entries of the first row of each are rounded in the same direction."""
    A, B = unrelated(300, 768)
    A[0], B[0] = 768**-0.5, 768**-0.5
    return A, B


@pytest.mark.parametrize("method", ["float32", "bfloat16"])
def test_product_errors_are_within_the_bound(method):
    A, B = rows_that_round_together()
    left, right = round_rows(A, method), round_rows(B, method)
    computed = (left.rows @ right.rows.T).double()
    off = (computed - A.double() @ B.double().T).abs().numpy()
    bound = (
        left.margins[:, None] + right.margins + relative_rounding(method) * computed.abs().numpy()
    )
    assert (off <= bound).all()
    assert within_bounds(left, right, A, B, method)


def test_each_term_of_the_bound_is_necessary_and_sufficient():
    A, B = rows_that_round_together()
    left, right = round_rows(A, "bfloat16"), round_rows(B, "bfloat16")
    exact = A.double() @ B.double().T
    of_rounded = left.rows.double() @ right.rows.double().T
    by_rows = (of_rounded - exact).abs().numpy()
    margins = left.margins[:, None] + right.margins
    assert (by_rows <= margins).all()
    assert by_rows[0, 0] > 0.8 * margins[0, 0]
    computed = (left.rows @ right.rows.T).double()
    by_result = (computed - of_rounded).abs()
    assert (by_result <= relative_rounding("bfloat16") * computed.abs() + 2e-4).all()
    assert (by_result / computed.abs()).max() > 0.4 * relative_rounding("bfloat16")


def test_products_that_violate_their_bound_fall_back_to_float32(monkeypatch):
    A, B = unrelated(100, 32)
    bad = RoundedRows(round_rows(A, "bfloat16").rows * 1.5, round_rows(A, "bfloat16").margins)
    assert not within_bounds(bad, round_rows(B, "bfloat16"), A, B, "bfloat16")
    monkeypatch.setattr("seedstability.stability.matching.passes.within_bounds", lambda *_: False)
    assert Passes(A, B, "bfloat16", 1).method == "float32"


def test_faster_method_is_a_known_method():
    assert faster_method(64) in ("float32", "bfloat16")
    assert faster_method(64, "cuda") == "float32"


def test_blocks_cover_all_products_once():
    A, B = unrelated(1200, 8)[0], unrelated(2100, 8)[1]
    seen = np.full((1200, 2100), np.nan)

    def visit(block, i, j):
        assert np.isnan(seen[i, j]).all()
        seen[i, j] = block

    left, right = round_rows(A, "float32"), round_rows(B, "float32")
    visit_blocks(left, right, [visit] * len(stripes(1200)), 2, ignore)
    np.testing.assert_allclose(seen, (A @ B.T).numpy(), atol=1e-6)


def test_an_exception_in_one_thread_stops_the_others_and_is_raised():
    A, B = unrelated(4000, 4)
    visited = []

    def visit(block, i, j):
        visited.append((i, j))
        if i.start == 0:
            raise KeyboardInterrupt

    left, right = round_rows(A, "float32"), round_rows(B, "float32")
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyboardInterrupt):
            visit_blocks(left, right, [visit] * len(stripes(4000)), 1, ignore)
        assert len(visited) == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_candidates_include_the_largest_of_each_row_and_column():
    A, B = half_shared_with_hubs(500, 16)
    pairs = Passes(A, B, "float32", 1).candidates(ignore)
    found = set(zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True))
    assert len(found) == len(pairs.rows)
    S = (A @ B.T).numpy()
    by_row = S - S.mean(axis=0)
    by_column = S - S.mean(axis=1, keepdims=True)
    for i in range(500):
        assert {(i, int(j)) for j in np.argsort(-by_row[i])[:14]} <= found
        assert {(int(k), i) for k in np.argsort(-by_column[:, i])[:3]} <= found
        assert (i, i) in found
    np.testing.assert_allclose(pairs.scores, S[pairs.rows, pairs.columns], atol=1e-6)


def test_pricing_finds_every_pair_above_the_bar():
    A, B = half_shared_with_hubs(700, 16)
    prices = np.linspace(0, 0.5, 700)
    S = (A.double() @ B.double().T).numpy()
    rows = np.arange(3, 700, 2)
    least = np.quantile(S - prices, 0.98, axis=1)[rows]
    for method in ("float32", "bfloat16"):
        found = Passes(A, B, method, 2).price(rows, least, prices, 64, ignore)
        wanted = {
            (i, j)
            for i, row in zip(rows, least, strict=True)
            for j in np.flatnonzero(S[i] - prices > row)
        }
        got = set(zip(found.pairs.rows.tolist(), found.pairs.columns.tolist(), strict=True))
        assert wanted <= got
        np.testing.assert_allclose(found.complete_above, least, atol=1e-5)


def test_a_full_row_reports_above_which_value_it_is_complete():
    A, B = half_shared_with_hubs(700, 16)
    prices, rows = np.zeros(700), np.arange(700)
    S = (A.double() @ B.double().T).numpy()
    found = Passes(A, B, "float32", 1).price(rows, np.full(700, -1.0), prices, 32, ignore)
    got = np.zeros(S.shape, bool)
    got[found.pairs.rows, found.pairs.columns] = True
    assert (found.complete_above > -0.9).all()
    assert not ((found.complete_above[:, None] < S) & ~got).any()
    assert got.sum(axis=1).min() >= 16


def sparse_problem(n_a: int, n_b: int, seed: int) -> tuple[np.ndarray, Pairs]:
    g = np.random.default_rng(seed)
    # few distinct scores, so that there are ties
    S = np.round(g.normal(size=(n_a, n_b)), 1)
    there = g.random((n_a, n_b)) < 0.3
    there[np.arange(n_a), np.arange(n_a)] = True
    rows, columns = (index.astype(np.int32) for index in np.nonzero(there))
    return np.where(there, S, -1e6), Pairs(rows, columns, S[rows, columns])


@pytest.mark.parametrize("n_b", [60, 75])
@pytest.mark.parametrize("seed", range(5))
def test_sparse_solver_finds_the_optimum_and_dual_prices(n_b, seed):
    S, pairs = sparse_problem(60, n_b, seed)
    graph = Graph.from_pairs(pairs, 60)
    assignment = Assignment(60, np.zeros(n_b))
    assignment.solve(graph)
    best = S[linear_sum_assignment(S, maximize=True)].sum()
    assert S[np.arange(60), assignment.columns].sum() == pytest.approx(best, abs=1e-9)
    u = assignment.share_slack(graph)
    assert (pairs.scores - u[pairs.rows] - assignment.prices[pairs.columns]).max() < 1e-9
    assert u.sum() + assignment.prices.sum() == pytest.approx(best, abs=1e-9)
    if n_b > 60:
        free = np.setdiff1d(np.arange(n_b), assignment.columns)
        assert assignment.prices.min() >= 0
        assert (assignment.prices[free] == 0).all()


def test_warm_start_with_more_pairs_reaches_the_optimum():
    S, pairs = sparse_problem(60, 60, 9)
    few = pairs.kept((pairs.rows + pairs.columns) % 3 == 0)
    diagonal = pairs.kept(pairs.rows == pairs.columns)
    first = merge_pairs(few, diagonal, 60)
    assignment = Assignment(60, np.zeros(60))
    assignment.solve(Graph.from_pairs(first, 60))
    before = assignment.prices.copy()
    whole = merge_pairs(first, pairs, 60)
    assert len(whole.rows) == len(pairs.rows)
    assignment.solve(Graph.from_pairs(whole, 60))
    best = S[linear_sum_assignment(S, maximize=True)].sum()
    assert S[np.arange(60), assignment.columns].sum() == pytest.approx(best, abs=1e-9)
    assert (assignment.prices >= before).all()  # this saves most rows a second pricing


def test_raised_column_prices_are_lowered_as_far_as_feasible():
    _, pairs = sparse_problem(60, 60, 3)
    graph = Graph.from_pairs(pairs, 60)
    assignment = Assignment(60, np.zeros(60))
    assignment.solve(graph)
    u, v = assignment.row_prices(graph), assignment.prices.copy()
    # higher for all columns, lower for all rows: equally optimal, but unnecessary
    assignment.prices += 0.5
    back = assignment.raise_row_prices(graph, u - 0.1, v)
    np.testing.assert_allclose(back, u - 0.1)
    np.testing.assert_allclose(assignment.prices, v + 0.1)

    # if some rows may not rise, others rise only as far as every pair stays covered
    assignment.prices[:] = v + 0.5
    wanted = np.where(np.arange(60) < 30, u, -np.inf)
    back = assignment.raise_row_prices(graph, wanted, v)
    assert (pairs.scores - back[pairs.rows] - assignment.prices[pairs.columns]).max() < 1e-12
    assert (back >= u - 0.5 - 1e-12).all()
    assert (back[:30] <= u[:30] + 1e-12).all()
    assert (assignment.prices >= v - 1e-12).all()
    np.testing.assert_allclose(back.sum() + assignment.prices.sum(), u.sum() + v.sum())

    # no column price falls below the given limit
    assignment.prices[:] = v + 0.5
    assignment.raise_row_prices(graph, u, v + 0.3)
    np.testing.assert_allclose(assignment.prices, v + 0.3)


@pytest.mark.parametrize("shape", [(40, 40), (25, 40), (1, 3), (1, 1)])
def test_dual_prices_certify_scipys_assignment(shape):
    S = np.round(np.random.default_rng(1).normal(size=shape), 1)
    partner = linear_sum_assignment(S, maximize=True)[1]
    u, v = dual_prices(S, partner)
    assert (S - u[:, None] - v).max() <= 1e-12
    assert u.sum() + v.sum() == pytest.approx(S[np.arange(shape[0]), partner].sum())
    assert v.min() >= 0 or shape[0] == shape[1]


def test_best_cosines_in_blocks_equal_those_of_the_whole_matrix(monkeypatch):
    A, B = half_shared_with_hubs(900, 12)
    S = cosines(A, B[:700])
    whole = best_cosines(A, B[:700])
    monkeypatch.setattr("seedstability.stability.matching.nearest._COSINES_AT_ONCE", 1000)
    monkeypatch.setattr("seedstability.stability.matching.nearest._ROWS", 128)
    monkeypatch.setattr("seedstability.stability.matching.nearest._COLUMNS", 256)
    for best in (whole, best_cosines(A, B[:700])):
        torch.testing.assert_close(best.rows, S.amax(dim=1))
        torch.testing.assert_close(best.columns, S.amax(dim=0))
        torch.testing.assert_close(best.abs_rows, S.abs().amax(dim=1))
        torch.testing.assert_close(best.abs_columns, S.abs().amax(dim=0))
        assert best.max_cosine == pytest.approx(two_way_mean(S), abs=1e-6)
        assert best.max_abs_cosine == pytest.approx(two_way_mean(S.abs()), abs=1e-6)


PEAK = """
import resource, torch
from seedstability import match
from seedstability.stability.matching.nearest import best_cosines
A, B = (torch.randn(16384, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
match(A[:3000], B[:3000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
match(A, B), best_cosines(A, B)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_far_below_the_matrix_of_cosines():
    environment = {"PYTHONPATH": str(CODE), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", PEAK], capture_output=True, text=True, check=True, env=environment
    )
    matrix = 16384**2 * 4 / 1024
    assert int(ran.stdout) < matrix / 4
