"""Sensitivity of each claim's verdict to each number that it depends on.

For every entry of the ledger, the tests make up values that support each of its checks. Then each
address that the verdict depends on is moved past its tolerance, alone, and the verdict must change.
"""

from dataclasses import replace

import pytest

from audit.ledger.checks import Arm, Chance, Check, Direction, Equality, Figure, Inference
from audit.ledger.claims import Claim
from audit.ledger.loading import load_claims
from audit.ledger.verdicts import Verdict
from audit.ledger.verify import verify
from audit.pipeline.results import Scalar
from helpers.held_values import Held

CLAIMS = load_claims()


def around(value: float, width: float, unit: str = "") -> Scalar:
    return Scalar(value, 4, unit, value - width, value + width, "90% jackknife over 20 seeds")


def arm_value(arm: Arm, supports: bool) -> float:
    if arm.op == "equivalent":
        return 0.0 if supports else 5 * arm.bounds[0]
    if arm.op == "inside":
        low, high = arm.bounds
        return (low + high) / 2 if supports else high + (high - low)
    up = arm.op == "interval_above"
    return arm.bounds[0] + (1.0 if up == supports else -1.0)


def values_of(check: Check, supports: bool) -> dict[str, Scalar]:
    """What the check's own addresses must hold for its claim to come out, or to fail."""
    unit = check.unit
    if isinstance(check, (Figure, Chance)):
        low, high = check.band
        width = high - low
        middle = (low + high) / 2 + (0.0 if supports else 2 * width)
        return {check.ours: around(middle, width / 20, unit)}
    if isinstance(check, Equality):
        return two(check.ours, 0.0 if supports else 5 * check.margin, check.margin / 8, unit)
    if isinstance(check, Direction):
        size = max(2 * check.margin, 0.05)
        up = check.sign in ("positive", "not_negative")
        away = size if up == supports else -size
        return two(check.ours, check.level + away, size / 20, unit)
    if isinstance(check, Inference):
        return {
            arm.address: around(arm_value(arm, supports), 1e-5, unit)
            for arm in check.arms
            if arm.address
        }
    return {}


def values_without_defect(check: Check, supports: bool) -> dict[str, Scalar]:
    """An arm without the defect that shows it, or one that shows there was none."""
    if isinstance(check, Figure) and check.without_defect:
        low, high = check.band
        away = 3 * (high - low) if supports else 0.0
        return {
            check.without_defect: around((low + high) / 2 + away, (high - low) / 20, check.unit)
        }
    if isinstance(check, Equality) and check.without_defect:
        return two(
            check.without_defect,
            5 * check.margin if supports else 0.0,
            check.margin / 8,
            check.unit,
        )
    return {}


def two(addresses: tuple[str, ...], value: float, width: float, unit: str) -> dict[str, Scalar]:
    if len(addresses) == 1:
        return {addresses[0]: around(value, width, unit)}
    return {
        addresses[0]: around(0.5 + value, width, unit),
        addresses[1]: around(0.5, width, unit),
    }


def kappas(check: Check, supports: bool) -> dict[str, Scalar]:
    return {address: around(0.0 if supports else 0.5, 0.005) for address in check.kappa}


def supporting(claim: Claim) -> Held:
    values = Held({shown.address: Scalar(0.1) for shown in claim.beside})
    for check in claim.check:
        if check.chance:
            values[check.chance] = Scalar(0.28, 4)
        values |= kappas(check, True) | values_without_defect(check, True) | values_of(check, True)
    return values


def changed(claim: Claim, address: str, value: Scalar) -> Held:
    return Held({**supporting(claim), address: value})


def expected(claim: Claim, check: Check) -> Verdict:
    if check.untested:
        return Verdict.NOT_TESTABLE
    if getattr(check, "without_defect", ()):
        return Verdict.DEFECT
    if claim.scope == "model":
        return Verdict.TRANSFERS
    return Verdict.AT_CHANCE if check.kappa else Verdict.REPRODUCED


def contrary_verdict(claim: Claim, check: Check) -> Verdict:
    """A test that does not reject shows nothing; else the claim fails, where it was tested."""
    if getattr(check, "test", False):
        return Verdict.UNDECIDED
    return Verdict.DOES_NOT_TRANSFER if claim.scope == "model" else Verdict.CONTRADICTED


def ruling(claim: Claim, values: Held):
    (each,) = verify(values, None, [claim])
    return each.locked


JUDGED = [claim for claim in CLAIMS if any(check.judged for check in claim.check)]
CASES = [
    pytest.param(claim, number, address, id=f"{claim.id}-{number}-{address}")
    for claim in JUDGED
    for number, check in enumerate(claim.check)
    for address in dict.fromkeys(check.judged)
]


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_supporting_values_support(claim):
    found = ruling(claim, supporting(claim)).verdicts
    assert found == tuple(expected(claim, check) for check in claim.check)


@pytest.mark.parametrize(("claim", "number", "address"), CASES)
def test_changed_number_changes_the_verdict(claim, number, address):
    check = claim.check[number]
    before = ruling(claim, supporting(claim))
    against = values_of(check, False)
    contrary = kappas(check, False) | values_without_defect(check, False) | against
    if isinstance(check, (Equality, Direction)) and check.ours[1:] == (address,):
        # Each of two subtracted values must change the verdict alone, so the second falls by as
        # much as the first would have risen.
        first, second = (supporting(claim)[each] for each in check.ours)
        shift = against[check.ours[0]].value - first.value
        contrary[address] = around(second.value - shift, 1e-4, check.unit)
    if isinstance(check, Equality) and check.without_defect[1:] == (address,):
        contrary[address] = supporting(claim)[check.without_defect[0]]
    after = ruling(claim, changed(claim, address, contrary[address]))
    assert after.verdicts[number] is not before.verdicts[number]
    if address in against:
        assert after.verdicts[number] is contrary_verdict(claim, check)
        assert after.verdict is not before.verdict


@pytest.mark.parametrize(("claim", "number", "address"), CASES)
def test_interval_over_both_outcomes_is_undecided(claim, number, address):
    """A value outside its tolerance, with an interval over both outcomes, supports no claim."""
    check = claim.check[number]
    if address not in values_of(check, False):
        return
    value = supporting(claim)[address]
    wide = replace(value, value=value.value + 1e5, low=-1e6, high=1e6)
    after = ruling(claim, changed(claim, address, wide))
    assert after.verdicts[number] is Verdict.UNDECIDED


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_changed_entry_changes_the_verdict(claim):
    """With another figure of the report, our values contradict it."""
    figures = [check for check in claim.check if isinstance(check, (Figure, Chance))]
    checks = [check for check in figures if not check.untested]
    for check in checks:
        low, high = check.band
        other = replace(check, theirs=f"{float(check.theirs) + 2 * (high - low):.4f}")
        values = supporting(claim)
        before = ruling(replace(claim, check=(check,)), values)
        after = ruling(replace(claim, check=(other,)), values)
        assert before.verdict is not Verdict.CONTRADICTED
        assert after.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_checks_of_unpublished_quantities_are_not_testable(claim):
    """Our value shows nothing, inside the tolerance or outside."""
    for check in claim.check:
        if isinstance(check, Figure) and check.untested:
            for supports in (True, False):
                values = Held({**supporting(claim), **values_of(check, supports)})
                (judged,) = ruling(replace(claim, check=(check,), beside=()), values).judgements
                assert judged.verdict is Verdict.NOT_TESTABLE
                assert judged.ours


def test_every_claim_with_a_verdict_is_mutated():
    untouched = {claim.id for claim in CLAIMS} - {claim.id for claim in JUDGED}
    # Five notes, which have no verdict, and figures that depend on unpublished quantities.
    assert untouched == {"C06", "C17", "C27", "C28", "C47", "C03a", "C46a"}
    assert {claim.id for claim in CLAIMS if claim.is_note} == {"C06", "C17", "C27", "C28", "C47"}
