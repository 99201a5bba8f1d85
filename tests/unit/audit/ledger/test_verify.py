"""Judging, comparing with what is locked, and showing it."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from audit.ledger.checks import Figure
from audit.ledger.claims import Claim, Elsewhere
from audit.ledger.loading import load_claims, select
from audit.ledger.table import as_json, print_table, rows, summary
from audit.ledger.verdicts import Verdict
from audit.ledger.verify import exit_status, verify
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
    assert exit_status(verify(held(), None, [CLAIM])) == 0
    assert exit_status(verify(held(), held(first=0.302), [CLAIM])) == 0
    assert exit_status(verify(held(), held(first=0.4), [CLAIM])) == 1


def test_a_figure_that_differs_counts_even_where_the_claim_is_the_same():
    found = verify(held(second=0.4), held(first=0.4), [CLAIM])
    assert found[0].here.verdict is found[0].locked.verdict
    assert exit_status(found) == 1


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
    assert lines[-1] == "  C01: contradicted here, reproduced locked"


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


def test_the_hours_of_the_proposed_grid_are_not_ten():
    (each,) = verify(Values({}), None, select(load_claims(), ["C28"]))
    assert summary(each).ours == "1.67 h"
    assert each.shown.verdict is Verdict.CONTRADICTED
    assert each.shown.judgements[0].because == "fails: runs times seconds"


def test_verifying_loads_neither_torch_nor_transformer_lens():
    """Whoever only asks for verdicts should not wait seconds for libraries."""
    code = (
        "import sys; import audit.ledger.table, audit.ledger.loading;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformer_lens', 'rich')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
