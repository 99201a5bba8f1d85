"""One rule for each kind of check: from the entry and our values to a judgement.

A figure, a chance level and the arms of an inference may rest on a value without interval,
because their tolerances were fixed to hold the noise of one run; equivalence and direction
are statements about an interval and stay undecided without one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from math import prod
from typing import Any

from audit.ledger.checks import (
    Arm,
    Chance,
    Check,
    Cost,
    Direction,
    Equality,
    Figure,
    Inference,
    Shown,
)
from audit.ledger.quantities import (
    Costs,
    Interval,
    Values,
    difference,
    interval,
    interval_name,
    joined_names,
    number,
    printed,
    read,
    span,
    with_unit,
)
from audit.ledger.verdicts import Judgement, Verdict
from audit.pipeline.results import Scalar
from seedstability.stability.statistics.equivalence import EQUIVALENCE_MARGIN, equivalent

HOLDS, OPEN, FAILS = "holds", "open", "fails"


def judge(check: Check, values: Values, costs: Costs) -> Judgement:
    """The judgement on one check.

    Args:
        check: an entry's check.
        values: locked values, or a machine's own.
        costs: what the stages of the locked run took, by name.

    Raises:
        UserError: with near names, when an address is not among the values.
    """
    if isinstance(check, Cost):
        return cost(check, values, costs)
    return replace(RULES[type(check)](check, values), subject=check.subject)


def figure(check: Figure, values: Values) -> Judgement:
    """Inside the tolerance, with the defect alone if there is an arm without it, or outside."""
    ours = read(values, check.ours, check.unit)
    text = printed(ours)
    if check.untested:
        return _judgement(check, values, text, Verdict.NOT_TESTABLE, check.untested)
    name = interval_name(ours)
    low, high = check.band
    band = f"{number(low, ours.digits)} to {number(high, ours.digits)}"
    if low <= ours.value <= high:
        verdict, because = _reproduced(check, values, f"inside {band}")
        if check.without_defect:
            without_defect = read(values, check.without_defect, check.unit)
            name = interval_name(ours, without_defect)
            text += f"; without the defect {printed(without_defect)}"
            if span(without_defect).clear_of(low, high):
                verdict, because = Verdict.DEFECT, f"inside {band} with the defect alone"
            elif not low <= without_defect.value <= high:
                verdict = Verdict.UNDECIDED
                because = f"inside {band}; without the defect the interval reaches into it"
    elif span(ours).clear_of(low, high):
        verdict, because = Verdict.CONTRADICTED, f"all of it outside {band}"
    else:
        verdict, because = Verdict.UNDECIDED, f"outside {band}, its interval reaches into it"
    return _judgement(check, values, text, verdict, because, name)


def equality(check: Equality, values: Values) -> Judgement:
    """Equivalent within the margin; with the defect alone, where mending it makes a difference."""
    ours = difference(values, check.ours, check.unit)
    text, name = printed(ours), interval_name(ours)
    state = _equivalence(interval(ours), check.margin)
    margin = f"±{with_unit(f'{check.margin:g}', check.unit)}"
    if state is FAILS:
        verdict, because = Verdict.CONTRADICTED, f"difference clear of {margin}"
    elif state is OPEN:
        verdict, because = Verdict.UNDECIDED, f"difference neither inside {margin} nor clear of it"
    else:
        verdict, because = _reproduced(check, values, f"difference inside {margin}")
    if check.without_defect:
        without_defect = difference(values, check.without_defect, check.unit)
        name = interval_name(ours, without_defect)
        text += f"; without the defect {printed(without_defect)}"
        without = _equivalence(interval(without_defect), check.margin)
        if state is HOLDS and without is FAILS:
            verdict, because = Verdict.DEFECT, f"inside {margin} with the defect alone"
        elif state is HOLDS and without is OPEN:
            verdict = Verdict.UNDECIDED
            because = f"inside {margin}; without the defect neither inside nor clear of it"
    return _judgement(check, values, text, verdict, because, name)


def direction(check: Direction, values: Values) -> Judgement:
    """The claimed sign with the interval clear of the level."""
    ours = difference(values, check.ours, check.unit)
    found = interval(ours)
    up = check.sign in ("positive", "not_negative")
    bound = check.level - check.margin if up else check.level + check.margin
    side, other = ("above", "below") if up else ("below", "above")
    at = with_unit(f"{bound:g}", check.unit)
    if found is None:
        verdict, because = Verdict.UNDECIDED, "no interval, so no sign"
    elif found.low > bound if up else found.high < bound:
        verdict, because = _reproduced(check, values, f"all of the interval {side} {at}")
    elif check.test:
        verdict, because = Verdict.UNDECIDED, "the test does not reject, which shows nothing"
    elif found.high < bound if up else found.low > bound:
        verdict, because = Verdict.CONTRADICTED, f"all of the interval {other} {at}"
    else:
        verdict, because = Verdict.UNDECIDED, f"the interval holds {at}"
    return _judgement(check, values, printed(ours), verdict, because, interval_name(ours))


def chance(check: Chance, values: Values) -> Judgement:
    """The report's chance level against that of the same statistic at the same sizes."""
    ours = read(values, check.ours, check.unit)
    low, high = check.band
    if low <= ours.value <= high:
        verdict, because = _reproduced(check, values, "the level is as the report says")
    elif span(ours).clear_of(low, high):
        verdict = Verdict.CONTRADICTED
        because = f"the level is {number(ours.value, ours.digits)}, not {check.stated}"
    else:
        verdict, because = Verdict.UNDECIDED, "the level's interval reaches the report's"
    text = printed(ours)
    return replace(
        _judgement(check, values, text, verdict, because, interval_name(ours)), chance=text
    )


def inference(check: Inference, values: Values) -> Judgement:
    """All arms must hold; one that fails contradicts, and is named."""
    found = [read(values, arm.address, check.unit) for arm in check.arms]
    text = "; ".join(
        f"{arm.name} {printed(ours)}" if len(found) > 1 else printed(ours)
        for arm, ours in zip(check.arms, found, strict=True)
    )
    names: dict[str, list[str]] = {HOLDS: [], OPEN: [], FAILS: []}
    for arm, ours in zip(check.arms, found, strict=True):
        names[_condition(arm, ours)].append(arm.name)
    if names[FAILS]:
        verdict, because = Verdict.CONTRADICTED, f"fails: {'; '.join(names[FAILS])}"
    elif names[OPEN]:
        verdict, because = Verdict.UNDECIDED, f"open: {'; '.join(names[OPEN])}"
    else:
        verdict, because = _reproduced(check, values, f"holds: {'; '.join(names[HOLDS])}")
    return _judgement(check, values, text, verdict, because, interval_name(*found))


def cost(check: Cost, values: Values, costs: Costs) -> Judgement:
    """Theirs beside ours; nothing is judged."""
    if check.measured:
        ours = ", ".join(printed(values.scalar(address)) for address in check.measured)
        because = "from the benchmark in data/measured; costs are not judged"
    else:
        ours = _spent(check.stages, costs)
        because = "from the locked run's provenance; costs are not judged"
    return Judgement(check.what, check.stated, ours, "", Verdict.NO_VERDICT, because)


def shown(check: Shown, values: Values) -> Judgement:
    """Theirs beside ours, or beside what the report's own numbers give; nothing is judged."""
    if check.factors:
        ours = Scalar(prod(check.factors) / check.divisor, check.digits, check.unit)
        because = "the report's own numbers multiplied; notes are not judged"
    else:
        ours = read(values, check.ours, check.unit)
        because = "notes are not judged"
    return _judgement(check, values, printed(ours), Verdict.NO_VERDICT, because)


RULES: dict[type, Callable[[Any, Values], Judgement]] = {
    Figure: figure,
    Equality: equality,
    Direction: direction,
    Chance: chance,
    Inference: inference,
    Shown: shown,
}


def _spent(stages: Sequence[str], costs: Costs) -> str:
    spent = [
        took
        for name, took in costs.items()
        if any(fnmatchcase(name, pattern) for pattern in stages)
    ]
    if not spent:
        return "not recorded"
    seconds = sum(took.seconds for took in spent)
    peak = max(took.megabytes for took in spent)
    counted = f"{len(spent)} stage" + ("s" if len(spent) > 1 else "")
    return f"{number(seconds, 0, 's')}, {number(peak, 0, 'MB')} ({counted})"


def _reproduced(check: Check, values: Values, because: str) -> tuple[Verdict, str]:
    """Reproduced, or, where every κ of the check is equivalent to zero, reproduced at chance."""
    kappas = [interval(values.scalar(address)) for address in check.kappa]
    at_chance = all(_equivalence(kappa, EQUIVALENCE_MARGIN) is HOLDS for kappa in kappas)
    if kappas and at_chance:
        return Verdict.AT_CHANCE, f"{because}, and κ inside ±{EQUIVALENCE_MARGIN}"
    return Verdict.REPRODUCED, because


def _equivalence(found: Interval | None, margin: float) -> str:
    if found is None:
        return OPEN
    if equivalent(found.low, found.high, margin):
        return HOLDS
    return FAILS if found.clear_of(-margin, margin) else OPEN


def _condition(arm: Arm, result: Scalar) -> str:
    if arm.op == "equivalent":
        return _equivalence(interval(result), arm.bounds[0])
    found = span(result)
    if arm.op == "inside":
        low, high = arm.bounds
        if low <= result.value <= high:
            return HOLDS
        return FAILS if found.clear_of(low, high) else OPEN
    bound = arm.bounds[0]
    if arm.op == "interval_below":
        return HOLDS if found.high < bound else FAILS if found.low > bound else OPEN
    return HOLDS if found.low > bound else FAILS if found.high < bound else OPEN


def _judgement(
    check: Check, values: Values, text: str, verdict: Verdict, because: str, name: str = ""
) -> Judgement:
    chance = printed(values.scalar(check.chance)) if check.chance else ""
    if verdict is Verdict.AT_CHANCE:
        kappas = interval_name(*(values.scalar(address) for address in check.kappa))
        name = joined_names([name, f"κ: {kappas}"])
    return Judgement(check.what, check.stated, text, chance, verdict, because, name)
