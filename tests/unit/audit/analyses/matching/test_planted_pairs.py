"""Planted pairs of dictionaries of three kinds, and the comparison of solvers on them."""

import pytest
import torch

from audit.analyses.matching import solvers
from audit.analyses.matching.config import SolverConfig
from audit.analyses.matching.planted_pairs import planted_pair
from seedstability.stability.cosine import cosines

KINDS = ("random", "hubs", "shared")


def drawn(kind, n=300, d=64, seed=5):
    return planted_pair(kind, n, d, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_unit_length_and_follow_the_generator(kind):
    for ours, again, other in zip(drawn(kind), drawn(kind), drawn(kind, seed=6), strict=True):
        torch.testing.assert_close(ours.norm(dim=1), torch.ones(300))
        assert torch.equal(ours, again)
        assert not torch.equal(ours, other)


def test_each_shared_row_has_one_close_partner_at_the_planted_cosine():
    best = cosines(*drawn("shared")).topk(2, dim=1).values
    torch.testing.assert_close(best[:, 0], torch.full((300,), 0.9))
    assert best[:, 1].max() < 0.8


def test_half_of_the_rows_with_hubs_are_shared():
    """In many dimensions only planted partners are that close."""
    best = cosines(*drawn("hubs", d=512)).max(dim=1).values
    close = best >= 0.75 - 1e-6
    assert int(close.sum()) == 150
    assert best.max() <= 0.95 + 1e-6


def test_unrelated_rows_share_nothing():
    assert cosines(*drawn("random", d=512)).max() < 0.3


def test_hubs_have_a_common_direction_and_are_contested():
    leaning, wanted = {}, {}
    for kind in KINDS:
        A, B = drawn(kind, n=1500, d=512)
        leaning[kind] = B.mean(dim=0).norm()
        wanted[kind] = cosines(A, B).argmax(dim=1).bincount().max()
    assert leaning["hubs"] > 4 * leaning["random"]
    assert wanted["hubs"] >= 1.5 * wanted["random"]
    assert wanted["shared"] == 1


def test_rows_are_not_in_the_order_of_their_partners():
    partner = cosines(*drawn("shared")).argmax(dim=1)
    assert partner.tolist() != sorted(partner.tolist())
    assert sorted(partner.tolist()) == list(range(300))


@pytest.mark.parametrize("kind", KINDS)
def test_both_solvers_agree_with_either_product(kind):
    found = solvers.compare_solvers(SolverConfig(kind, 300, 48, 1))
    for method in solvers.METHODS:
        ours = found[method]
        assert ours["total"] == pytest.approx(found["total"], rel=1e-9)
        assert ours["same_partner"] == 1.0
        assert ours["violations"] == 0
        assert ours["passes"] >= 2.0
        assert ours["bound"] < 1e-8


def test_prices_that_are_too_low_are_counted(monkeypatch):
    honest = solvers.assign

    def cheap(*arguments, **more):
        solution = honest(*arguments, **more)
        return solution._replace(row_prices=solution.row_prices - 1e-6)

    monkeypatch.setattr(solvers, "assign", cheap)
    found = solvers.compare_solvers(SolverConfig("random", 100, 48, 1))
    # the prices of a matched pair add up to its cosine, so each pair violates the lowered prices
    assert found["float32"]["violations"] >= 100


def test_a_different_assignment_lowers_same_partner(monkeypatch):
    honest = solvers.assign

    def turned(*arguments, **more):
        solution = honest(*arguments, **more)
        return solution._replace(columns=solution.columns[::-1].copy())

    monkeypatch.setattr(solvers, "assign", turned)
    assert (
        solvers.compare_solvers(SolverConfig("random", 100, 48, 1))["float32"]["same_partner"] < 0.1
    )
