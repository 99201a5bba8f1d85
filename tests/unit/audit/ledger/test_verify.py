"""Judging, comparing with what is locked, and showing it."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from audit.ledger.checks import Direction, Figure
from audit.ledger.claims import Claim, Elsewhere
from audit.ledger.loading import load_claims, select
from audit.ledger.table import as_json, basis, changed, explanation, print_table, rows, summary
from audit.ledger.verdicts import Verdict
from audit.ledger.verify import tally, verify
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Scalar
from seedstability.errors import UserError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ADDRESSES = ("a.b.first", "a.b.second")
CLAIM = Claim(
    id="C01",
    says="Two figures come out",
    report="000.txt",
    citation="stability000",
    where="Results",
    check=tuple(
        Figure(what=f"{name} figure", theirs="0.300", tolerance=0.005, reason="r", ours=address)
        for name, address in zip(("first", "second"), ADDRESSES, strict=True)
    ),
    notes="Read with care.",
)


def held(first: float = 0.3, second: float = 0.3) -> Values:
    return Values(dict(zip(ADDRESSES, (Scalar(first), Scalar(second)), strict=True)))


def test_the_claims_verdict_is_the_weakest():
    (each,) = verify(held(second=0.4), None, [CLAIM])
    assert each.locked.verdicts == (Verdict.REPRODUCED, Verdict.CONTRADICTED)
    assert each.shown.verdict is Verdict.CONTRADICTED


def test_status_is_zero_as_locked_and_one_when_a_verdict_differs():
    assert not verify(held(), None, [CLAIM])[0].differs
    assert not verify(held(), held(first=0.302), [CLAIM])[0].differs
    assert verify(held(), held(first=0.4), [CLAIM])[0].differs


def test_a_figure_that_differs_counts_even_where_the_claim_is_the_same():
    found = verify(held(second=0.4), held(first=0.4), [CLAIM])
    assert found[0].here.verdict is found[0].locked.verdict
    assert found[0].differs


def test_a_verdict_at_the_edge_of_its_rule_is_told_and_is_no_failure():
    """Its values agree within tolerance: nothing failed to come out again."""
    asked = []

    def agree(addresses):
        asked.append(tuple(addresses))
        return True

    (each,) = verify(held(), held(first=0.4), [CLAIM], agree=agree)
    assert set(asked[0]) == {ADDRESSES[0]}
    assert not each.differs
    assert each.moved[0].within_tolerance
    assert basis([each]).splitlines()[1:] == [
        "verdicts not as locked, at values that are, within tolerance:",
        "  C01: contradicted here, reproduced locked: first figure",
    ]
    far = verify(held(), held(first=0.4), [CLAIM], agree=lambda addresses: False)
    assert basis(far).splitlines()[1] == "verdicts not as locked:"
    assert far[0].differs


def test_a_store_that_holds_only_some_values_is_not_judged():
    (each,) = verify(held(), Values({ADDRESSES[0]: Scalar(0.4)}), [CLAIM])
    assert each.here is None
    assert not each.differs


def test_a_missing_locked_value_names_the_claim():
    with pytest.raises(UserError, match=r"claim C01: there is nothing at 'a\.b\.second'"):
        verify(Values({ADDRESSES[0]: Scalar(0.3)}), None, [CLAIM])


def test_a_claim_for_another_profile_says_what_it_needs():
    elsewhere = Elsewhere(needs="the weights of a language model", profile="full", cost="3 h")
    (each,) = verify(Values({}), None, [replace(CLAIM, elsewhere=elsewhere)])
    assert each.shown.verdict is Verdict.NOT_TESTABLE
    assert "profile full, about 3 h" in each.shown.judgements[0].because
    (each,) = verify(held(), None, [replace(CLAIM, elsewhere=elsewhere)])
    assert each.shown.verdict is Verdict.REPRODUCED


def test_rows_show_the_claim_and_every_figure():
    (each,) = verify(held(second=0.4), None, [CLAIM])
    shown = rows(each)
    assert [(row.id, row.claim) for row in shown] == [
        ("C01", "Two figures come out"),
        ("", "first figure"),
        ("", "second figure"),
    ]
    assert [row.verdict for row in shown] == ["contradicted", "reproduced", "contradicted"]
    assert summary(each).ours == "0.300; 0.400"


def test_json_is_a_list_of_claims():
    found = verify(held(), held(first=0.4), [CLAIM])
    (entry,) = json.loads(as_json(found))["claims"]
    assert entry["id"] == "C01"
    assert (entry["verdict"], entry["locked_verdict"]) == ("contradicted", "reproduced")
    assert entry["judged_on"] == "this machine's values"
    assert entry["kind"] == "figure"
    assert [check["verdict"] for check in entry["checks"]] == ["contradicted", "reproduced"]
    assert entry["source"] == "000.txt (stability000), Results"


def test_piped_table_is_aligned_and_says_what_was_judged():
    stream = io.StringIO()
    print_table(verify(held(), held(first=0.4), [CLAIM]), stream)
    header, *lines = stream.getvalue().splitlines()
    column = header.index("verdict")
    assert [line[column:] for line in lines[:3]] == ["contradicted", "contradicted", "reproduced"]
    assert "first figure: contradicted: all of it outside 0.295 to 0.305" in lines
    assert "Read with care." in lines
    assert lines[-1] == "  C01: contradicted here, reproduced locked: first figure"


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (None, "1 claim judged on locked values"),
        (held(), "1 claim: 1 judged on this machine's values, 0 on locked ones; every verdict is"),
    ],
)
def test_the_last_line_says_which_values_were_judged(here, said):
    stream = io.StringIO()
    print_table(verify(held(), here, [CLAIM]), stream)
    assert stream.getvalue().splitlines()[-1].startswith(said)


def test_a_terminal_gets_a_table_with_brackets_intact():
    stream = Terminal()
    values = held() | Values({ADDRESSES[0]: Scalar(0.3, low=0.29, high=0.31)})
    print_table(verify(values, None, [CLAIM]), stream)
    assert "[0.290" in stream.getvalue()


def direction(subject: str, address: str) -> Direction:
    return Direction(
        what="it rises", theirs="up", sign="positive", reason="r", ours=(address,), subject=subject
    )


ELSEWHERE_STATED = replace(
    CLAIM,
    id="C02a",
    scope="model",
    check=(direction("small", ADDRESSES[0]), direction("public", ADDRESSES[1])),
)


def signed(*signs: int) -> Values:
    scalars = (Scalar(0.3 * sign, low=0.3 * sign - 0.1, high=0.3 * sign + 0.1) for sign in signs)
    return Values(dict(zip(ADDRESSES, scalars, strict=True)))


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ((1, 1), Verdict.TRANSFERS),
        ((-1, -1), Verdict.DOES_NOT_TRANSFER),
        ((1, -1), Verdict.MIXED),
        ((1, 0), Verdict.UNDECIDED),
    ],
)
def test_a_direction_on_another_model_is_never_contradicted(signs, expected):
    (each,) = verify(signed(*signs), None, [ELSEWHERE_STATED])
    assert each.locked.verdict is expected
    assert list(each.locked.by_subject) == ["small", "public"]
    assert Verdict.CONTRADICTED not in each.locked.verdicts
    (entry,) = json.loads(as_json([each]))["claims"]
    assert entry["verdict_by_subject"] == each.locked.by_subject
    own = replace(ELSEWHERE_STATED, scope="own", check=(replace(CLAIM.check[0], theirs="9"),))
    (each,) = verify(signed(*signs), None, [own])
    assert each.locked.verdict is Verdict.CONTRADICTED


def test_one_subject_has_the_weakest_of_its_checks():
    checks = (direction("small", ADDRESSES[0]), direction("small", ADDRESSES[1]))
    (each,) = verify(signed(1, -1), None, [replace(ELSEWHERE_STATED, check=checks)])
    assert each.locked.verdict is Verdict.DOES_NOT_TRANSFER


def test_the_tally_counts_claims_and_no_notes():
    found = verify(held(second=0.4), None, [CLAIM, *select(load_claims(), ["C28"])])
    found += verify(signed(1, 1), None, [ELSEWHERE_STATED])
    counted = tally(found)
    assert sum(counted.values()) == 2
    assert (counted[Verdict.CONTRADICTED], counted[Verdict.TRANSFERS]) == (1, 1)
    assert Verdict.NO_VERDICT not in counted
    stream = io.StringIO()
    print_table(found, stream)
    last = stream.getvalue().splitlines()[-1]
    assert last == "tally of 2 claims: 1 transfers; 1 contradicted"
    shown = json.loads(as_json(found))
    assert [entry["id"] for entry in shown["notes"]] == ["C28"]
    assert shown["tally"]["transfers"] == 1


def test_the_tally_of_locked_rulings_is_not_that_of_this_machine():
    found = verify(held(), held(first=0.4), [CLAIM])
    assert tally(found)[Verdict.CONTRADICTED] == 1
    assert tally(found, locked=True)[Verdict.CONTRADICTED] == 0


@pytest.mark.parametrize(
    ("rule", "late"),
    [("2026-01-01 09:59", False), ("2026-01-01 10:00", True), ("2026-01-01 10:01", True)],
)
def test_a_rule_that_is_not_older_than_its_results_is_marked(rule, late):
    dated = replace(
        CLAIM,
        rule_commit="a" * 40,
        rule_date=rule,
        results_commit="b" * 40,
        results_date="2026-01-01 10:00",
    )
    assert dated.changed_after_results is late
    (each,) = verify(held(), None, [dated])
    text = explanation(each)
    assert f"rule of {rule} (aaaaaaa); first results 2026-01-01 10:00 (bbbbbbb)" in text
    assert ("not older than they are" in text) is late
    assert bool(changed([each])) is late
    without = replace(dated, results_commit="", results_date="")
    assert not without.changed_after_results


def test_the_proposed_grid_is_a_note_that_is_not_judged():
    (each,) = verify(Values({}), None, select(load_claims(), ["C28"]))
    assert summary(each).ours == "1.67 h"
    assert each.shown.verdict is Verdict.NO_VERDICT
    stream = io.StringIO()
    print_table([each], stream)
    assert stream.getvalue().splitlines()[-1] == "notes alone; nothing is judged."


def test_verifying_loads_neither_torch_nor_transformer_lens():
    """Verdicts alone should not wait seconds for libraries."""
    code = (
        "import sys; import audit.ledger.table, audit.ledger.loading;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformer_lens', 'rich')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
