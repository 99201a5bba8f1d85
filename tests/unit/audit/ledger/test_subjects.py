"""A second subject: judged by the same rule at its own addresses, and only where it has values."""

import json
from dataclasses import replace

import pytest

from audit.ledger.checks import Direction, Inference
from audit.ledger.claims import Claim, Need
from audit.ledger.loading import load_claims
from audit.ledger.subjects import Subject, load_subjects, with_twins
from audit.ledger.table import as_json, rows
from audit.ledger.verdicts import Verdict
from audit.ledger.verify import verify
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Scalar
from seedstability.errors import UserError

PUBLIC = Subject("public", "small", {"tokens.layers": "public.layers"}, {})
CHECK = Direction(
    what="layer 0 less the middle",
    theirs="positive",
    subject="small",
    sign="positive",
    reason="r",
    ours=("tokens.layers.less",),
)
CLAIM = Claim(
    id="C24",
    says="Layer 0 is more stable",
    report="002.txt",
    citation="mechinterp002",
    where="Results",
    scope="model",
    check=(CHECK,),
)


def values(small: float, public: float | None = None) -> Values:
    def clear(value: float) -> Scalar:
        return Scalar(value, 3, low=value - 0.01, high=value + 0.01, interval="95% jackknife")

    there = {"tokens.layers.less": clear(small)}
    return Values(there | ({} if public is None else {"public.layers.less": clear(public)}))


def test_a_twin_has_the_rule_of_its_check_and_addresses_of_its_own():
    (twin,) = with_twins(CLAIM, (PUBLIC,)).twins
    assert twin.check == replace(CHECK, subject="public", ours=("public.layers.less",))
    assert twin.need is None


def test_a_check_that_reads_anything_else_has_no_twin():
    both = replace(CHECK, ours=("tokens.layers.less", "modular.layers.less"))
    assert with_twins(replace(CLAIM, check=(both,)), (PUBLIC,)).twins == ()
    other = replace(CHECK, subject="modular addition")
    assert with_twins(replace(CLAIM, check=(other,)), (PUBLIC,)).twins == ()


@pytest.mark.parametrize(
    ("small", "public", "verdict"),
    [
        (0.1, 0.1, Verdict.TRANSFERS),
        (-0.1, 0.1, Verdict.MIXED),
        (-0.1, -0.1, Verdict.DOES_NOT_TRANSFER),
        (-0.1, None, Verdict.DOES_NOT_TRANSFER),
    ],
)
def test_the_verdict_is_over_the_subjects_that_have_values(small, public, verdict):
    (each,) = verify(values(small, public), None, [with_twins(CLAIM, (PUBLIC,))])
    assert each.locked.verdict is verdict
    assert set(each.locked.by_subject) == {"small"} | ({"public"} if public else set())


def test_figures_of_two_subjects_are_told_apart():
    (both,) = verify(values(0.1, -0.1), None, [with_twins(CLAIM, (PUBLIC,))])
    assert [row.claim for row in rows(both)[1:]] == [
        "layer 0 less the middle (small)",
        "layer 0 less the middle (public)",
    ]
    ledger = json.loads(as_json([both]))
    assert [check["subject"] for check in ledger["claims"][0]["checks"]] == ["small", "public"]


def test_a_twin_whose_verdict_moved_is_told():
    here, locked = values(0.1, -0.1), values(0.1, 0.1)
    (each,) = verify(locked, here, [with_twins(CLAIM, (PUBLIC,))])
    assert [(moved.here, moved.locked) for moved in each.moved] == [
        (Verdict.DOES_NOT_TRANSFER, Verdict.TRANSFERS)
    ]


def test_the_ledgers_twins_are_of_every_kind_of_language_claim():
    with_them = {claim.id: claim for claim in load_claims() if claim.twins}
    assert {"C21", "C24", "C25", "C42", "C45"} <= set(with_them)
    assert all(claim.scope == "model" for claim in with_them.values())
    (pair,) = with_them["C21"].twins
    assert isinstance(pair.check, Inference)
    assert all(arm.address.startswith("public.") for arm in pair.check.arms)


@pytest.mark.parametrize(
    ("shared", "verdict"), [(5.0, Verdict.DOES_NOT_TRANSFER), (0.0, Verdict.NOT_TESTABLE)]
)
def test_nothing_is_said_where_what_a_twin_needs_does_not_hold(shared, verdict):
    need = Need(address="public.layers.shared", above=1.0, because="nothing is shared")
    claim = with_twins(CLAIM, (replace(PUBLIC, needs={"tokens": need}),))
    found = values(0.1, -0.1) | Values({"public.layers.shared": Scalar(shared, 1)})
    (each,) = verify(found, None, [claim])
    assert each.locked.by_subject == {"small": Verdict.TRANSFERS, "public": verdict}
    if verdict is Verdict.NOT_TESTABLE:
        assert each.locked.judgements[1].because == "nothing is shared"
        assert each.locked.verdict is Verdict.TRANSFERS


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "public.toml").write_text('subject = "public"\n')
    with pytest.raises(UserError, match=r"public.toml cannot be read \('of'\); restore it"):
        load_subjects(tmp_path)
