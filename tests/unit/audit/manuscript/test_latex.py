import pytest

from audit.manuscript.latex import escaped, line_of, number, without_comments


@pytest.mark.parametrize(
    ("value", "digits", "unit", "printed"),
    [
        (0.30211, 3, "", "0.302"),
        (-0.30211, 3, "", r"\ensuremath{-0.302}"),
        (-0.0001, 3, "", "0.000"),
        (10215, 0, "", "10{,}215"),
        (1234567.5, 1, "", "1{,}234{,}567.5"),
        (-1234, 0, "", r"\ensuremath{-1{,}234}"),
        (53.04, 1, "%", r"53.0\%"),
        (12.3, 1, "s", r"12.3\,s"),
    ],
)
def test_numbers_are_formatted_as_printed(value, digits, unit, printed):
    assert number(value, digits, unit) == printed


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="must be a finite number"):
        number(value, 3)


def test_text_is_escaped_once():
    assert escaped("a_b & 5% λ") == r"a\_b \& 5\% \ensuremath{\lambda}"
    assert escaped(escaped("a_b")) == r"a\_b"


def test_comments_are_removed_and_lines_kept():
    text = "one % two\n50\\% three\\\\% four\nfive"
    assert without_comments(text) == "one \n50\\% three\\\\\nfive"
    assert line_of(text, text.index("five")) == 3
