"""Rows of numbers become arrays, one a name."""

import numpy as np
import pytest

from audit.subjects.arrays import columns

ROWS = [
    {"epoch": 1, "loss": 0.5, "live": np.array([True, False]), "of": {"rank": np.float32(3)}},
    {"epoch": 2, "loss": 1, "live": np.array([True, True]), "of": {"rank": np.float32(4)}},
]


def test_each_name_becomes_an_array_with_the_rows_first():
    found = columns(ROWS)
    assert found["epoch"].tolist() == [1, 2]
    assert found["epoch"].dtype == np.int64
    assert found["loss"].dtype == np.float64
    assert found["live"].tolist() == [[True, False], [True, True]]
    assert found["of"]["rank"].dtype == np.float32
    assert found["of"]["rank"].tolist() == [3, 4]


def test_rows_may_be_stacked_along_another_axis():
    assert columns([{"x": np.zeros((3, 2))}] * 4, axis=1)["x"].shape == (3, 4, 2)


def test_vectors_of_unequal_length_are_padded_only_where_asked():
    rows = [{"x": np.ones(1), "y": np.ones(2)}, {"x": np.ones(3), "y": np.ones(2)}]
    np.testing.assert_array_equal(columns(rows, pad=True)["x"], [[1, np.nan, np.nan], [1, 1, 1]])
    assert columns(rows, pad=True)["y"].shape == (2, 2)
    with pytest.raises(ValueError, match="same shape"):
        columns(rows)


def test_no_rows_are_no_arrays():
    assert columns([]) == {}
