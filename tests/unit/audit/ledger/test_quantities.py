"""Values as text: no more digits than their uncertainty has."""

import pytest

from audit.ledger.quantities import printed, supported_digits
from audit.pipeline.results import Scalar


@pytest.mark.parametrize(
    ("half_width", "digits"),
    [
        (0.037, 3),
        (0.0999, 3),
        (0.1056, 2),
        (0.00012, 4),  # its own digits are the most that it is locked with
        (0.4, 2),
        (4.0, 1),
        (40.0, 0),
    ],
)
def test_digits_are_those_of_half_the_interval(half_width, digits):
    ours = Scalar(1.0, 4, low=1 - half_width, high=1 + half_width, tolerance=0.5)
    assert supported_digits(ours) == digits


def test_without_an_interval_nothing_is_dropped():
    assert supported_digits(Scalar(0.015, 4, tolerance=0.4)) == 4
    assert supported_digits(Scalar(0.143, 4, low=0.143, high=0.143)) == 4


def test_value_and_ends_have_the_same_digits():
    ours = Scalar(-0.0639, 4, low=-0.1695, high=0.0417, interval="95% jackknife over 5 seeds")
    assert printed(ours) == "−0.06 [−0.17, 0.04] (95%)"
