"""Seeds of a result are found by value."""

import numpy as np
import pytest

from audit.training.results import positions_of

THERE = np.array([42, 7, 19])


def test_seeds_are_found_wherever_they_stand_and_in_that_order():
    assert positions_of((19,), THERE).tolist() == [2]
    assert positions_of((19, 42), THERE).tolist() == [0, 2]


def test_a_seed_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"seeds \[8\] are not among \[42, 7, 19\]"):
        positions_of((7, 8), THERE)
