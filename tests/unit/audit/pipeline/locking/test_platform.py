"""Differences between numeric ABIs are recorded beside the locked values, and allowed."""

from dataclasses import replace

import numpy as np
import pytest

from audit.pipeline.locking.differences import compare
from audit.pipeline.locking.keeping import keepable
from audit.pipeline.locking.locked import LockedRun, read_values, write, write_spreads
from audit.pipeline.locking.platform import FACTOR, FILE, Spread, read_spreads, spread_between
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError
from seedstability.numerics.abi import numeric_abi

HERE = numeric_abi()
THERE = replace(HERE, libc="another")
SCALAR = Scalar(0.5, 3, low=0.4, high=0.6, chance=0.1, tolerance=0.01, interval="95% jackknife")
TREE = {"x": {"part": {"number": SCALAR, "curve": Array(np.array([0.0, 1.0]), 3), "word": "yes"}}}
LOCKED = Values.from_tree(TREE)
NUMBER, CURVE, WORD = "x.part.number", "x.part.curve", "x.part.word"


def with_leaf(address: str, leaf) -> Values:
    return Values({**LOCKED, address: leaf})


def with_spreads(**spreads: Spread) -> Values:
    return Values(LOCKED, spreads={f"x.part.{name}": spread for name, spread in spreads.items()})


@pytest.mark.parametrize(
    ("leaf", "spread"),
    [
        (replace(SCALAR, value=0.53), Spread(value=0.02)),
        (replace(SCALAR, chance=0.13), Spread(value=0.02)),
        (replace(SCALAR, high=0.66), Spread(end=0.04)),
        (replace(SCALAR, low=0.34), Spread(end=0.04)),
    ],
)
def test_a_recorded_difference_is_allowed_times_the_factor_and_no_more(leaf, spread):
    new = with_leaf(NUMBER, leaf)
    assert compare(new, LOCKED)
    assert compare(new, with_spreads(number=spread)) == []
    smaller = Spread(spread.value / 1.2, spread.end / 1.2)
    assert compare(new, with_spreads(number=smaller))


def test_a_recorded_difference_of_an_array_is_allowed():
    new = with_leaf(CURVE, Array(np.array([0.0, 1.3]), 3))
    assert compare(new, LOCKED)
    assert compare(new, with_spreads(curve=Spread(value=0.21))) == []
    assert compare(new, with_spreads(curve=Spread(value=0.19)))


def test_showing_each_change_allows_nothing():
    new = with_leaf(NUMBER, replace(SCALAR, value=0.501))
    assert compare(new, with_spreads(number=Spread(value=1.0)), exactly=True)


def test_the_spread_between_two_values_is_the_largest_in_each_respect():
    new = replace(SCALAR, value=0.52, chance=0.15, low=0.1, high=0.61)
    found = spread_between(new, SCALAR, "there")
    assert (found.value, found.end, found.abi) == pytest.approx((0.05, 0.3, "there"))
    arrays = Array(np.array([0.0, np.nan, 2.5]), 3), Array(np.array([0.0, np.nan, 2.0]), 3)
    assert spread_between(*arrays, "there").value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("new", "locked"),
    [
        ("no", "yes"),
        (replace(SCALAR, low=None), SCALAR),
        (Array(np.zeros(2)), Array(np.zeros(3))),
        (Array(np.array([np.nan])), Array(np.array([0.0]))),
        (Array(np.zeros(2)), SCALAR),
    ],
)
def test_what_is_no_number_apart_has_no_spread(new, locked):
    assert spread_between(new, locked, "there") is None


RUN = LockedRun("2026-01-01", "abc", HERE, {"part": "0f"})


@pytest.mark.parametrize(
    ("new", "abi", "kept", "recorded"),
    [
        (LOCKED, HERE, True, False),
        (LOCKED, THERE, True, False),
        (with_leaf(NUMBER, replace(SCALAR, value=0.6)), HERE, False, False),
        (with_leaf(NUMBER, replace(SCALAR, value=0.6)), THERE, True, True),
        (with_leaf(WORD, "no"), THERE, False, False),
        (with_leaf("x.part.more", 1.0), THERE, False, False),
        (with_leaf(NUMBER, replace(SCALAR, value=0.6, digits=2)), THERE, False, False),
    ],
)
def test_numbers_alone_may_differ_and_on_another_machine_alone(new, abi, kept, recorded):
    found = keepable(new, LOCKED, {"x": RUN}, abi)
    assert ("x" in found.experiments) == kept
    assert (NUMBER in found.spreads) == recorded
    assert bool(found.differences) == recorded


def test_recorded_spreads_come_back_with_the_values_and_only_grow(tmp_path):
    write(tmp_path, "x", LOCKED, RUN)
    assert read_values(tmp_path).spreads == {}
    write_spreads(tmp_path, {NUMBER: Spread(0.25, 0.5, "there"), "y.part.gone": Spread(1.0)})
    write_spreads(tmp_path, {NUMBER: Spread(0.125, 0.75, "elsewhere")})
    write_spreads(tmp_path, {NUMBER: Spread(0.125, 0.125, "nowhere")})
    assert read_values(tmp_path).spreads == {NUMBER: Spread(0.25, 0.75, "elsewhere")}
    assert read_spreads(tmp_path)["y.part.gone"] == Spread(1.0)
    assert read_values(tmp_path).allowed_difference(NUMBER) == FACTOR * 0.25
    assert read_values(tmp_path).allowed_difference(CURVE) == pytest.approx(0.0015)


@pytest.mark.parametrize("damage", ["{", "[1]", '{"x.part.number": 3}', '{"x": {"width": 1}}'])
def test_a_damaged_file_is_named(tmp_path, damage):
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(UserError, match=r"platform\.json: .*restore it from the repository"):
        read_spreads(tmp_path)
