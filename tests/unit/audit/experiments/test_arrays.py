"""Plotted arrays: values with the ends of their intervals, and how far these may differ."""

from audit.experiments.common.arrays import with_ends
from audit.pipeline.results import Scalar

SAID = "95% jackknife over 5 seeds"
LEVELS = [Scalar(0.5, 3, "", low, high, SAID) for low, high in ((0.49, 0.51), (0.25, 0.75))]


def test_tolerance_of_loose_interval_ends_is_the_widest_interval():
    drawn = with_ends(LEVELS, 3, 0.1, loose_ends=True)
    assert drawn["low"].tolerance == drawn["high"].tolerance == 0.5
    assert drawn["value"].tolerance == 0.1
    assert with_ends(LEVELS[:1], 3, 0.1, loose_ends=True)["low"].tolerance == 0.1
    assert with_ends(LEVELS, 3, 0.1)["low"].tolerance == 0.1


def test_a_value_without_interval_is_its_own_ends():
    drawn = with_ends([*LEVELS, Scalar(0.4, 3)], 3, 0.1)
    assert drawn["value"].values.tolist() == [0.5, 0.5, 0.4]
    assert drawn["low"].values.tolist() == [0.49, 0.25, 0.4]
    assert drawn["high"].values.tolist() == [0.51, 0.75, 0.4]
