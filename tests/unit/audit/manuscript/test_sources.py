from dataclasses import replace

import pytest

from audit.ledger.loading import load_claims
from audit.ledger.verdicts import Verdict
from audit.manuscript.sources import edition_of
from audit.pipeline.locking.locked import (
    Confirmation,
    Cost,
    LockedRun,
    read_runs,
    read_values,
    write,
)
from audit.pipeline.locking.platform import Spread
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Scalar
from seedstability.errors import UserError
from seedstability.numerics.abi import NumericABI

ABI = NumericABI("AuthenticAMD", "avx2", "2.13.0", "numpy x, scipy y", "glibc 2.36", "cpu")
VALUES = Values({"chance.size.level": Scalar(0.2988)})


def run(date: str, commit: str = "0123abc", stage: str = "chance/size") -> LockedRun:
    return LockedRun(date, commit, ABI, {}, {"torch": "2.13.0"}, {stage: Cost(1.5, 300.0)})


def test_edition_has_the_facts_of_the_runs():
    runs = {"chance": run("2026-01-31T10:00:00+00:00")}
    edition = edition_of(VALUES, runs, claims=[])
    assert edition.facts["date"] == "2026-01-31"
    assert edition.commit == "0123abc"
    assert "AuthenticAMD" in edition.numeric_abi
    assert edition.facts["environment"] == "torch 2.13.0"
    assert [(s.name, s.seconds) for s in edition.stages] == [("chance/size", 1.5)]


def test_experiments_of_different_runs_are_listed_by_run():
    runs = {
        "chance": run("2026-01-31"),
        "modular": run("2026-02-02", "4567def", "modular/train"),
        "seeds": run("2026-01-31", stage="chance/size"),
    }
    edition = edition_of(VALUES, runs, claims=[])
    assert edition.date == "2026-02-02"
    assert edition.commit == "0123abc (chance, seeds); 4567def (modular)"
    assert len(edition.stages) == 2


def test_edition_says_which_run_confirmed_the_values_and_what_lies_farther_out():
    confirmed = Confirmation("2026-03-03T08:00:00+00:00", "89abcde", replace(ABI, cpu="Another"))
    runs = {"chance": replace(run("2026-01-31"), confirmed=confirmed), "seeds": run("2026-01-31")}
    values = Values(VALUES, spreads={"chance.size.level": Spread(0.1)})
    facts = edition_of(values, runs, claims=[]).facts
    assert facts["confirmed"] == "89abcde on Another, 2026-03-03 (chance); the run itself (seeds)"
    assert facts["between_machines"] == "1"
    assert edition_of(VALUES, {"seeds": run("2026-01-31")}, claims=[]).facts["confirmed"] == (
        "the run itself"
    )


def test_claim_without_values_is_not_testable():
    edition = edition_of(VALUES, {"chance": run("2026-01-31")}, claims=load_claims()[:1])
    (listed,) = edition.claims
    assert listed.locked.verdict is Verdict.NOT_TESTABLE
    assert listed.locked.judgements[0].theirs == "0.2864"


def test_locked_edition_has_the_locked_values(tmp_path):
    folder = tmp_path / "smoke"
    write(folder, "chance", VALUES, run("2026-01-31"))
    with pytest.raises(UserError, match="claim C22"):
        edition_of(read_values(folder), read_runs(folder), "smoke")
    edition = edition_of(VALUES, {"chance": run("2026-01-31")}, "smoke", claims=[])
    assert edition.values.scalar("chance.size.level").value == 0.299
    assert edition.mark == "SMOKE PROFILE"
