"""Each rule on numbers chosen so that the verdict is known."""

import pytest

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
from audit.ledger.rules import judge
from audit.ledger.verdicts import Verdict, over_subjects, transferred, weakest
from audit.pipeline.results import Scalar
from helpers.held_values import Held
from seedstability.errors import UserError

OURS, WITHOUT_DEFECT, KAPPA, OTHER = "a.b.ours", "a.b.without_defect", "a.b.kappa", "a.b.other"


def between(low: float, high: float, label: str = "95% jackknife over 5 seeds") -> Scalar:
    return Scalar((low + high) / 2, digits=4, low=low, high=high, interval=label)


def verdict(check: Check, **values: Scalar) -> Verdict:
    held = Held({f"a.b.{name}": value for name, value in values.items()})
    return judge(check, held, {}).verdict


def figure(**fields) -> Figure:
    return Figure(what="x", theirs="0.300", tolerance=0.005, reason="r", ours=OURS, **fields)


def equality(**fields) -> Equality:
    return Equality(what="x", theirs="same", margin=0.02, reason="r", **{"ours": (OURS,), **fields})


def direction(sign: str, **fields) -> Direction:
    return Direction(what="x", theirs="up", sign=sign, reason="r", **{"ours": (OURS,), **fields})


def inference(op: str, *bounds: float) -> Inference:
    arm = Arm(name="the arm", op=op, bounds=bounds, reason="r", address=OURS)
    return Inference(what="x", theirs="so", arms=(arm,))


AT_CHANCE = between(-0.01, 0.01)
ABOVE_CHANCE = between(0.1, 0.2)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (between(0.301, 0.303), Verdict.REPRODUCED),
        (between(0.250, 0.352), Verdict.REPRODUCED),
        (Scalar(0.304), Verdict.REPRODUCED),
        (between(0.304, 0.320), Verdict.UNDECIDED),
        (between(0.310, 0.320), Verdict.CONTRADICTED),
        (between(0.280, 0.290), Verdict.CONTRADICTED),
        (Scalar(0.310), Verdict.CONTRADICTED),
    ],
)
def test_figure(ours, expected):
    assert verdict(figure(), ours=ours) is expected


@pytest.mark.parametrize(
    ("kappa", "expected"),
    [
        (AT_CHANCE, Verdict.AT_CHANCE),
        (ABOVE_CHANCE, Verdict.REPRODUCED),
        (between(-0.01, 0.03), Verdict.REPRODUCED),
        (Scalar(0.0), Verdict.REPRODUCED),
        (between(-0.01, 0.01, "range of 3 seeds"), Verdict.REPRODUCED),
    ],
)
def test_at_chance_takes_an_interval_inside_the_margin(kappa, expected):
    assert verdict(figure(kappa=(KAPPA,)), ours=Scalar(0.3), kappa=kappa) is expected


def test_at_chance_takes_every_kappa():
    check = figure(kappa=(KAPPA, OTHER))
    values = {"ours": Scalar(0.3), "kappa": AT_CHANCE}
    assert verdict(check, **values, other=AT_CHANCE) is Verdict.AT_CHANCE
    assert verdict(check, **values, other=ABOVE_CHANCE) is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("without_defect", "expected"),
    [
        (between(0.40, 0.42), Verdict.DEFECT),
        (Scalar(0.40), Verdict.DEFECT),
        (between(0.299, 0.301), Verdict.REPRODUCED),
        (between(0.304, 0.320), Verdict.UNDECIDED),
    ],
)
def test_a_figure_that_needs_its_defect(without_defect, expected):
    assert (
        verdict(
            figure(without_defect=WITHOUT_DEFECT), ours=Scalar(0.3), without_defect=without_defect
        )
        is expected
    )


def test_a_figure_outside_even_with_the_defect_is_contradicted():
    check = figure(without_defect=WITHOUT_DEFECT)
    assert verdict(check, ours=Scalar(0.5), without_defect=Scalar(0.3)) is Verdict.CONTRADICTED


def test_relative_tolerance_is_a_share_of_theirs():
    check = Figure(what="x", theirs="400", tolerance=0.1, relative=True, reason="r", ours=OURS)
    assert check.band == (360.0, 440.0)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (between(-0.01, 0.01), Verdict.REPRODUCED),
        (between(-0.01, 0.03), Verdict.UNDECIDED),
        (between(0.03, 0.05), Verdict.CONTRADICTED),
        (between(-0.05, -0.03), Verdict.CONTRADICTED),
        (Scalar(0.0), Verdict.UNDECIDED),
        (between(-0.01, 0.01, "range of 3 seeds"), Verdict.UNDECIDED),
    ],
)
def test_equality_is_a_test_of_equivalence(ours, expected):
    assert verdict(equality(), ours=ours) is expected


@pytest.mark.parametrize(
    ("without_defect", "expected"),
    [
        (between(0.1, 0.2), Verdict.DEFECT),
        (between(-0.01, 0.01), Verdict.REPRODUCED),
        (between(0.01, 0.2), Verdict.UNDECIDED),
        (Scalar(0.15), Verdict.UNDECIDED),
    ],
)
def test_an_equality_that_needs_its_defect(without_defect, expected):
    check = equality(without_defect=(WITHOUT_DEFECT,))
    assert verdict(check, ours=between(0.0, 0.0), without_defect=without_defect) is expected


def test_the_difference_of_two_values_is_as_uncertain_as_both():
    check = equality(ours=(OURS, OTHER))
    near = {"ours": between(0.50, 0.51), "other": between(0.50, 0.51)}
    assert verdict(check, **near) is Verdict.REPRODUCED
    wide = {"ours": between(0.50, 0.52), "other": between(0.49, 0.51)}
    assert verdict(check, **wide) is Verdict.UNDECIDED
    far = {"ours": between(0.60, 0.61), "other": between(0.50, 0.51)}
    assert verdict(check, **far) is Verdict.CONTRADICTED
    assert verdict(check, ours=Scalar(0.5), other=between(0.5, 0.5)) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("sign", "low", "high", "expected"),
    [
        ("positive", 0.01, 0.02, Verdict.REPRODUCED),
        ("positive", -0.01, 0.02, Verdict.UNDECIDED),
        ("positive", -0.02, -0.01, Verdict.CONTRADICTED),
        ("negative", -0.02, -0.01, Verdict.REPRODUCED),
        ("negative", 0.01, 0.02, Verdict.CONTRADICTED),
    ],
)
def test_direction_is_a_sign_clear_of_zero(sign, low, high, expected):
    assert verdict(direction(sign), ours=between(low, high)) is expected


@pytest.mark.parametrize(
    ("sign", "low", "high", "expected"),
    [
        ("not_positive", 0.005, 0.015, Verdict.REPRODUCED),
        ("not_positive", -0.5, -0.4, Verdict.REPRODUCED),
        ("not_positive", 0.01, 0.03, Verdict.UNDECIDED),
        ("not_positive", 0.03, 0.05, Verdict.CONTRADICTED),
        ("not_negative", -0.01, 0.5, Verdict.REPRODUCED),
        ("not_negative", -0.05, -0.03, Verdict.CONTRADICTED),
    ],
)
def test_no_change_in_a_direction_leaves_the_margin(sign, low, high, expected):
    assert verdict(direction(sign, margin=0.02), ours=between(low, high)) is expected


def test_direction_counts_from_its_level_and_needs_an_interval():
    assert verdict(direction("positive", level=0.9), ours=between(0.91, 0.93)) is Verdict.REPRODUCED
    assert (
        verdict(direction("positive", level=0.9), ours=between(0.8, 0.85)) is Verdict.CONTRADICTED
    )
    assert verdict(direction("positive"), ours=Scalar(0.5)) is Verdict.UNDECIDED


def test_direction_can_hold_at_chance():
    check = direction("positive", kappa=(KAPPA,))
    assert verdict(check, ours=between(0.1, 0.2), kappa=AT_CHANCE) is Verdict.AT_CHANCE


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (Scalar(0.001), Verdict.REPRODUCED),
        (Scalar(0.0865), Verdict.CONTRADICTED),
        (between(0.015, 0.035), Verdict.UNDECIDED),
    ],
)
def test_chance_compares_levels(ours, expected):
    check = Chance(what="x", theirs="0", tolerance=0.02, reason="r", ours=OURS)
    assert verdict(check, ours=ours) is expected


@pytest.mark.parametrize(
    ("check", "holds", "opens", "fails"),
    [
        (inference("interval_above", 0.5), (0.6, 0.7), (0.4, 0.6), (0.3, 0.4)),
        (inference("interval_below", 0.5), (0.3, 0.4), (0.4, 0.6), (0.6, 0.7)),
        (inference("equivalent", 0.02), (-0.01, 0.01), (0.01, 0.03), (0.03, 0.05)),
        (inference("inside", 1.0, 3.0), (1.5, 2.5), (2.9, 3.9), (4.0, 5.0)),
    ],
)
def test_arms_hold_stay_open_or_fail(check, holds, opens, fails):
    assert verdict(check, ours=between(*holds)) is Verdict.REPRODUCED
    assert verdict(check, ours=between(*opens)) is Verdict.UNDECIDED
    assert verdict(check, ours=between(*fails)) is Verdict.CONTRADICTED


def test_a_contradicted_inference_names_the_failing_arm():
    check = Inference(
        what="x",
        theirs="so",
        arms=(
            Arm(name="first arm", op="inside", bounds=(0.0, 1.0), reason="r", address=OURS),
            Arm(name="second arm", op="inside", bounds=(0.0, 1.0), reason="r", address=OTHER),
        ),
    )
    judged = judge(check, Held({OURS: Scalar(0.5), OTHER: Scalar(2.0)}), {})
    assert judged.verdict is Verdict.CONTRADICTED
    assert judged.because == "fails: second arm"


def test_the_reports_own_numbers_are_multiplied():
    check = Shown(
        what="x", theirs="10 h", unit="h", factors=(1200.0, 5.0), divisor=3600.0, digits=2
    )
    judged = judge(check, Held(), {})
    assert (judged.verdict, judged.ours) == (Verdict.NO_VERDICT, "1.67 h")


def test_a_note_shows_a_result_and_does_not_judge_it():
    check = Shown(what="x", theirs="20+ seeds", ours=OURS)
    assert check.addresses == (OURS,)
    judged = judge(check, Held({OURS: Scalar(3.0, 0)}), {})
    assert (judged.verdict, judged.ours) == (Verdict.NO_VERDICT, "3")


@pytest.mark.parametrize("low", [-0.02, -0.01])
def test_a_test_that_does_not_reject_shows_nothing(low):
    """Not rejecting one mode is not showing one mode."""
    assert verdict(direction("positive", test=True), ours=between(low, -0.001)) is Verdict.UNDECIDED
    assert verdict(direction("positive"), ours=between(low, -0.001)) is Verdict.CONTRADICTED
    found = between(0.01, 0.02)
    assert verdict(direction("positive", test=True), ours=found) is Verdict.REPRODUCED


def test_a_figure_on_unpublished_weights_is_shown_and_not_judged():
    check = figure(rests_on="weights that are not published", without_defect=WITHOUT_DEFECT)
    for value in (0.3, 0.9):
        judged = judge(check, Held({OURS: Scalar(value)}), {})
        assert judged.verdict is Verdict.NOT_TESTABLE
        assert judged.because == "rests on weights that are not published"
        assert judged.ours == f"{value:.3f}"
    assert check.judged == ()
    assert check.addresses == (OURS,)


def test_a_judgement_says_which_interval_it_rests_on():
    ninety, other = "90% jackknife over 5 seeds", "95% jackknife over 9 seeds"
    values = Held({OURS: between(0.0, 0.01, ninety), OTHER: between(0.0, 0.01, other)})
    judged = judge(equality(), values, {})
    assert judged.interval == ninety
    assert judged.ours.endswith("(90%)")
    judged = judge(equality(ours=(OURS, OTHER)), values, {})
    assert judged.interval == f"{ninety}; {other}"
    assert judged.ours.endswith("(90%/95%)")
    judged = judge(equality(without_defect=(OTHER,)), values, {})
    assert judged.interval == f"{ninety}; {other}"
    judged = judge(figure(), Held({OURS: between(0.299, 0.301, "range of 3 seeds")}), {})
    assert judged.interval == "range of 3 seeds"
    assert judged.ours.endswith("(range)")
    at_chance = Held({OURS: between(0.299, 0.301, other), KAPPA: between(-0.01, 0.01, ninety)})
    judged = judge(figure(kappa=(KAPPA,)), at_chance, {})
    assert judged.interval == f"{other}; κ: {ninety}"
    assert judge(figure(), Held({OURS: Scalar(0.3)}), {}).interval == ""


def test_costs_stand_side_by_side_and_are_not_judged():
    class Spent:
        seconds = 41.4
        megabytes = 812.0

    check = Cost(what="x", theirs="3 min", stages=("train/*",))
    judged = judge(check, Held(), {"train/topk": Spent(), "train/relu": Spent(), "other": Spent()})
    assert (judged.verdict, judged.ours) == (Verdict.NO_VERDICT, "83 s, 812 MB (2 stages)")
    assert judge(check, Held(), {}).ours == "not recorded"


def test_a_measured_cost_stands_beside_theirs_and_is_not_judged():
    check = Cost(what="x", theirs="8 h", measured=(OURS,))
    assert check.addresses == (OURS,)
    assert check.judged == ()
    judged = judge(check, Held({OURS: Scalar(364.2, 0, "s")}), {})
    assert (judged.verdict, judged.ours) == (Verdict.NO_VERDICT, "364 s")
    assert "benchmark" in judged.because


@pytest.mark.parametrize("both", [{}, {"stages": ("train/*",), "measured": (OURS,)}])
def test_a_cost_is_a_stage_s_or_a_benchmark_s(both):
    with pytest.raises(ValueError, match="and not both"):
        Cost(what="x", theirs="8 h", **both)


def test_percent_is_not_mixed_with_plain_numbers():
    check = Figure(what="x", theirs="15.6", unit="%", tolerance=5.0, reason="r", ours=OURS)
    assert verdict(check, ours=Scalar(14.0, 1, "%")) is Verdict.REPRODUCED
    with pytest.raises(UserError, match="plain numbers"):
        verdict(check, ours=Scalar(0.14))


def test_text_has_the_interval_and_a_real_minus():
    judged = judge(equality(), Held({OURS: between(-0.012, 0.008)}), {})
    assert judged.ours == "−0.002 [−0.012, 0.008] (95%)"
    assert (
        judge(equality(), Held({OURS: between(-1e-9, 1e-9)}), {}).ours
        == "0.0000 [0.0000, 0.0000] (95%)"
    )


def test_the_weakest_verdict_counts():
    assert weakest([Verdict.REPRODUCED, Verdict.AT_CHANCE]) is Verdict.AT_CHANCE
    assert (
        weakest([Verdict.DEFECT, Verdict.CONTRADICTED, Verdict.UNDECIDED]) is Verdict.CONTRADICTED
    )
    assert weakest([Verdict.REPRODUCED, Verdict.NO_VERDICT]) is Verdict.REPRODUCED
    assert weakest([Verdict.NO_VERDICT]) is Verdict.NO_VERDICT


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["transfers"], "transfers"),
        (["does not transfer"], "does not transfer"),
        (["transfers", "transfers"], "transfers"),
        (["transfers", "does not transfer"], "mixed"),
        (["transfers", "does not transfer", "undecided"], "mixed"),
        (["transfers", "undecided"], "undecided"),
        (["does not transfer", "undecided"], "undecided"),
        (["transfers", "not testable here"], "transfers"),
        (["not testable here"], "not testable here"),
    ],
)
def test_the_verdict_over_subjects(verdicts, expected):
    named = {f"subject {n}": Verdict(each) for n, each in enumerate(verdicts)}
    assert over_subjects(named) is Verdict(expected)


def test_only_what_was_settled_is_renamed_on_another_model():
    assert transferred(Verdict.REPRODUCED) is Verdict.TRANSFERS
    assert transferred(Verdict.CONTRADICTED) is Verdict.DOES_NOT_TRANSFER
    for verdict in (Verdict.UNDECIDED, Verdict.NOT_TESTABLE):
        assert transferred(verdict) is verdict
