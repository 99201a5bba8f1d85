import numpy as np
import pytest

from audit.manuscript.macros import Source
from audit.manuscript.predicates import Holds, bound_sentences, check, evaluate
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from helpers.manuscript_values import edition
from seedstability.errors import UserError

VALUES = Values.from_tree(
    {
        "a": {
            "low_one": Scalar(0.10, low=0.08, high=0.12, chance=0.05),
            "high_one": Scalar(0.50, low=0.40, high=0.60),
            "wide": Scalar(0.15, low=0.05, high=0.45),
            "plain": Scalar(0.30),
            "rises": Array(np.array([1.0, 2.0, 4.0])),
            "low": {"low": Scalar(7.0)},
            "said": "yes",
            "count": 3,
        }
    },
    "the test's values",
)


def true(predicate: str) -> bool:
    return evaluate(Holds(predicate, "It is so.", "a.tex:1"), VALUES)[0]


@pytest.mark.parametrize(
    "predicate",
    [
        "a.low_one < a.high_one",
        "0.05 < a.low_one < 0.2 < a.plain",
        "a.low_one.high < a.high_one.low",
        "a.low_one > a.low_one.chance",
        "a.high_one - a.low_one > 0.3 and not a.plain > 1",
        "a.plain > 1 or a.count == 3",
        "a.low.low == 7",
        "a.said == 'yes'",
        "a.rises[-1] / a.rises[0] == 4",
        "a.rises > 0",
        "min(a.rises) == 1 and max(a.low_one, a.plain) == 0.3",
        "clear(a.low_one, a.high_one) and not clear(a.wide, a.high_one)",
        "clear(a.wide, 0)",
        "within(a.low_one, 0.2) and not within(a.wide, 0.2)",
        "rising(a.rises) and not falling(a.rises)",
        "falling(a.high_one, a.plain, a.low_one)",
        "largest(a.high_one, a.plain, a.wide) and smallest(a.low_one, a.wide)",
        "abs(a.low_one - a.plain) < 0.21",
    ],
)
def test_what_predicates_may_say(predicate):
    assert true(predicate)
    assert not true(f"not ({predicate})")


@pytest.mark.parametrize(
    ("predicate", "said"),
    [
        ("a.nothing > 1", "there is nothing at .a.nothing."),
        ("a.plain.high > 1", "a.plain has no high"),
        ("clear(a.plain, 0)", "has no interval"),
        ("a.plain + 1", "it is no comparison"),
        ("a.plain >", "cannot be read"),
        ("__import__('os')", "none of what a predicate may hold"),
        ("a.plain.__class__ == 1", "none of what|nothing at"),
        ("print(a.plain) > 1", "none of what a predicate may hold"),
        ("a.rises[7] > 1", "out of bounds"),
        ("a.said > 1", "."),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(predicate, said):
    with pytest.raises(UserError, match=rf"^a.tex:1: \\holds.*({said})"):
        true(predicate)


def test_sentences_have_their_line_and_may_hold_macros():
    text = "one\n% \\holds{a.b > 1}{no}\n\\holds{a.b\n > 1}{It is \\result{a.b}, \\emph{more}.}"
    [found] = bound_sentences(Source("a.tex", text))
    assert found == Holds("a.b > 1", "It is \\result{a.b}, \\emph{more}.", "a.tex:3")
    with pytest.raises(UserError, match=r"^a.tex:1: .*no closing brace"):
        list(bound_sentences(Source("a.tex", "\\holds{a.b > 1}{It is")))


FALSE = Source("paper/a.tex", "\\holds{a.low_one > a.high_one}{The first\n is larger.}")


def test_a_false_sentence_stops_the_build_with_place_sentence_and_values():
    with pytest.raises(UserError) as stopped:
        check([FALSE], edition(values=VALUES))
    assert str(stopped.value) == (
        "paper/a.tex:1: “The first is larger.” does not hold: a.low_one > a.high_one, but"
        " a.low_one is 0.1 [0.08, 0.12], a.high_one is 0.5 [0.4, 0.6]"
    )


def test_other_profiles_need_the_addresses_and_not_the_truth():
    check([FALSE], edition(values=VALUES, profile="smoke"))
    with pytest.raises(UserError, match=r"there is nothing at 'a.gone'"):
        check(
            [Source("a.tex", "\\holds{a.gone > 1}{It is.}")],
            edition(values=VALUES, profile="smoke"),
        )
