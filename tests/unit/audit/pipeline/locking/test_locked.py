import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.pipeline.locking.differences import compare
from audit.pipeline.locking.locked import (
    Confirmation,
    Cost,
    LockedRun,
    read_runs,
    read_values,
    write,
)
from audit.pipeline.locking.values import Values
from audit.pipeline.results import WIDTHS_OF_A_RANGE, Array, Scalar
from helpers.repository import ROOT
from seedstability.errors import UserError
from seedstability.numerics.abi import numeric_abi

TREE = {
    "chance": {
        "closed": {
            "level": Scalar(0.29876, digits=4, unit="", chance=0.1),
            "pair": Scalar(0.3021, digits=3, low=0.3004, high=0.3044, interval="95% jackknife"),
            "settled": True,
            "latents": 1024,
            "bare": 0.123456,
            "label": "µ, ≤ 1",
        },
        "curve": {
            "y": Array(np.array([[0.12345, np.nan], [-0.00001, 3.0]]), digits=3),
            "n": np.array([16, 64]),
            "live": np.array([True, False]),
            "none": np.zeros((0, 2)),
            "point": np.array(1.5),
        },
    }
}
RUN = LockedRun(
    "2026-01-01T00:00:00+00:00",
    "abc",
    numeric_abi(),
    {"closed": "0f", "curve": "1e"},
    {"numpy": "2"},
    {"chance/closed": Cost(1.5, 250.0)},
)


@pytest.fixture
def values() -> Values:
    return Values.from_tree(TREE)


@pytest.fixture
def folder(tmp_path: Path, values: Values) -> Path:
    write(tmp_path / "paper", "chance", values, RUN)
    return tmp_path / "paper"


def with_value(address: str, value) -> Values:
    return Values({**Values.from_tree(TREE), address: value})


def test_what_is_read_is_what_was_printed(folder, values):
    locked = read_values(folder)
    assert compare(values, locked, exactly=True) == []
    assert locked.scalar("chance.closed.level").value == 0.2988
    assert locked.scalar("chance.closed.pair").low == 0.3
    assert locked.scalar("chance.closed.latents") == Scalar(1024.0, digits=0, tolerance=0.0)
    assert locked.text("chance.closed.settled") == "yes"
    assert locked.text("chance.closed.label") == "µ, ≤ 1"
    np.testing.assert_array_equal(locked.array("chance.curve.y"), [[0.123, np.nan], [0.0, 3.0]])
    assert not np.signbit(locked.array("chance.curve.y")[1, 0])
    for name in ("y", "n", "live", "none", "point"):
        found, expected = locked.array(f"chance.curve.{name}"), values.array(f"chance.curve.{name}")
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype or found.size == 0


def test_the_run_comes_back(folder):
    assert read_runs(folder) == {"chance": RUN}


def test_a_run_that_confirmed_the_values_comes_back_with_the_run_that_gave_them(folder, values):
    confirmed = replace(RUN, confirmed=Confirmation("2026-02-02", "def", numeric_abi()))
    write(folder, "chance", values, confirmed)
    assert read_runs(folder) == {"chance": confirmed}


def test_locking_one_experiment_leaves_the_others(folder):
    other = Values({"modular.x.y": Scalar(1.0)})
    write(folder, "modular", other, RUN)
    assert set(read_runs(folder)) == {"chance", "modular"}
    assert set(read_values(folder)) > set(other)
    assert set(read_values(folder, ["modular"])) == set(other)


def test_one_scalar_a_line_sorted_and_the_same_file_each_time(folder, values):
    lines = (folder / "chance.json").read_text().splitlines()
    scalars = [line.split('"')[1] for line in lines if line.startswith('"')]
    assert scalars == sorted(values)
    before = (folder / "chance.json").read_bytes()
    write(folder, "chance", read_values(folder), RUN)
    assert (folder / "chance.json").read_bytes() == before


@pytest.mark.parametrize(
    ("value", "out"),
    [
        (0.2988, False),
        (0.29894, False),
        (0.2990, True),
        (0.2985, True),
    ],
)
def test_a_scalar_may_move_by_its_tolerance(folder, value, out):
    new = with_value("chance.closed.level", Scalar(value, digits=4, chance=0.1))
    found = compare(new, read_values(folder))
    assert [d.what for d in found] == (["value"] if out else [])
    if out:
        assert f"locked 0.2988, now {value:.4f} (tolerance 0.00015)" in str(found[0])


def test_half_the_interval_is_the_tolerance(folder):
    tell = {"digits": 3, "interval": "95% jackknife"}
    near = Scalar(0.304, low=0.302, high=0.306, **tell)
    far = Scalar(0.305, low=0.303, high=0.307, **tell)
    assert compare(with_value("chance.closed.pair", near), read_values(folder)) == []
    found = compare(with_value("chance.closed.pair", far), read_values(folder))
    assert {d.what for d in found} == {"value"}


def test_the_ends_of_an_interval_may_move_twice_as_far(folder):
    tell = {"digits": 3, "interval": "95% jackknife"}
    for high, out in ((0.308, []), (0.309, ["high"])):
        new = Scalar(0.302, low=0.3, high=high, **tell)
        found = compare(with_value("chance.closed.pair", new), read_values(folder))
        assert [d.what for d in found] == out


def test_a_range_of_few_seeds_allows_several_of_its_widths():
    three = Scalar(0.3, low=0.299, high=0.301, interval="range of 3 seeds")
    assert three.allowed_difference == pytest.approx(WIDTHS_OF_A_RANGE * 0.002)
    assert replace(three, interval="95% jackknife").allowed_difference == pytest.approx(0.0015)
    assert replace(three, tolerance=0.5).allowed_difference == 0.5


@pytest.mark.parametrize(
    ("address", "value", "what"),
    [
        ("chance.closed.level", Scalar(0.2988, digits=4, chance=0.2), "chance"),
        ("chance.closed.level", Scalar(0.2988, digits=4), "chance"),
        ("chance.closed.level", Scalar(0.2988, digits=4, chance=0.1, unit="%"), "unit"),
        ("chance.closed.level", Scalar(0.2988, digits=5, chance=0.1), "digits"),
        ("chance.closed.level", "text", "kind"),
        ("chance.closed.settled", False, "text"),
        ("chance.closed.latents", 1025, "value"),
        ("chance.closed.fresh", 1, "new"),
        ("chance.curve.n", np.array([16, 65]), "elements"),
        ("chance.curve.n", np.array([16]), "shape"),
        ("chance.curve.y", Array(np.array([[0.127, np.nan], [0, 3.0]]), digits=3), "elements"),
        ("chance.curve.y", Array(np.array([[0.123, 1.0], [0, 3.0]]), digits=3), "elements"),
    ],
)
def test_every_other_difference_is_named(folder, address, value, what):
    [found] = compare(with_value(address, value), read_values(folder))
    assert (found.address, found.what) == (address, what)
    assert address in str(found)


def test_an_example_may_be_another_and_is_shown_before_locking():
    one, other = ({"a": {"b": {"quoted": text, "said": "x"}}} for text in ("x", "y"))
    new, locked = (Values.from_tree(tree) for tree in (one, other))
    assert compare(new, locked) == []
    assert [each.address for each in compare(new, locked, exactly=True)] == ["a.b.quoted"]
    one["a"]["b"]["said"] = "z"
    assert [each.address for each in compare(Values.from_tree(one), locked)] == ["a.b.said"]


def test_a_missing_address_is_named(folder, values):
    less = Values({a: v for a, v in values.items() if a != "chance.closed.bare"})
    [found] = compare(less, read_values(folder))
    assert (found.address, found.what) == ("chance.closed.bare", "missing")


def test_an_array_within_tolerance_is_no_difference_and_shown_before_locking(folder):
    near = with_value("chance.curve.y", Array(np.array([[0.124, np.nan], [0, 3]]), digits=3))
    assert compare(near, read_values(folder)) == []
    assert [d.what for d in compare(near, read_values(folder), exactly=True)] == ["elements"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"digits": 4', '"digits": 4.5', r"chance\.json:\d+: chance\.closed\.level: its digits"),
        ('"value": 0.2988', '"value": "0.3"', r":\d+: .*its value is '0.3'"),
        ('"value": 0.2988', '"value": NaN', r":\d+: .*its value is nan"),
        ('"value": 0.2988, ', "", r":\d+: .*no 'value'"),
        ('"value": 0.2988', '"valeu": 0.2988, "value": 0', r"'valeu' is unknown"),
        ('"chance.closed.bare"', '"chance.closed.level"', r":\d+: chance\.closed\.level is there"),
        ('"chance.closed.bare"', '"modular.bare"', r":2: modular\.bare: it does not begin"),
        ("[0.123, null]", "[0.123]", r"chance\.curve\.y: "),
        ("[0.123, null]", '[0.123, "x"]', r"chance\.curve\.y: .*no number"),
        ("true", "trve", r"chance\.json:\d+: "),
        ("}\n", "", r"chance\.json:\d+: "),
    ],
)
def test_a_damaged_file_is_named_with_its_line(folder, old, new, said):
    path = folder / "chance.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=said) as told:
        read_values(folder)
    assert "\n" not in str(told.value)


def test_a_damaged_provenance_is_named(folder):
    path = folder / "provenance.json"
    plain = json.loads(path.read_text())
    del plain["chance"]["abi"]["cpu"]
    path.write_text(json.dumps(plain, indent=1))
    with pytest.raises(UserError, match=r"provenance\.json:2: chance: "):
        read_runs(folder)


def test_what_is_not_locked_says_how_to(tmp_path):
    with pytest.raises(UserError, match="invoke lock"):
        read_values(tmp_path, ["chance"])
    with pytest.raises(UserError, match="invoke lock"):
        read_runs(tmp_path)


def test_a_full_disk_leaves_the_old_values_whole(folder, monkeypatch):
    before = (folder / "chance.json").read_bytes()

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match="No space left"):
        write(folder, "chance", with_value("chance.closed.level", Scalar(9.0)), RUN)
    assert (folder / "chance.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["chance.json", "provenance.json"]


def test_addresses_of_another_experiment_are_refused(folder, values):
    with pytest.raises(UserError, match=r"chance\."):
        write(folder, "modular", values, RUN)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda v: v.scalar("chance.closed.levle"), "near: chance.closed.level"),
        (lambda v: v.scalar("chance.closed"), r"near: chance\.closed\."),
        (lambda v: v.scalar("chance.closed.label"), "is no number"),
        (lambda v: v.array("chance.closed.level"), "is no array"),
        (lambda v: v.text("chance.closed.level"), "is no text"),
        (lambda v: v.subtree("chance.clsoed"), "near: chance.closed"),
    ],
)
def test_a_wrong_address_is_answered_with_near_ones(values, ask, said):
    with pytest.raises(UserError, match=said):
        ask(values)


def test_a_subtree_is_nested(values):
    found = values.subtree("chance")
    assert found["closed"]["label"] == "µ, ≤ 1"
    assert isinstance(found["curve"]["y"], Array)


@pytest.mark.parametrize("leaf", [float("nan"), np.array([np.inf]), np.array(["a"]), None])
def test_what_cannot_be_printed_is_refused_by_address(leaf):
    with pytest.raises(UserError, match=r"a\.b"):
        Values({"a.b": leaf})


@pytest.mark.parametrize("profile", ["paper", "smoke"])
def test_every_locked_estimate_lies_inside_its_own_interval(profile):
    values = read_values(ROOT / "data" / "locked" / profile)
    scalars = ((address, values.leaf(address)) for address in values)
    outside = [
        f"{address}: {found.value} [{found.low}, {found.high}]"
        for address, found in scalars
        if isinstance(found, Scalar)
        and found.low is not None
        and found.high is not None
        and not found.low <= found.value <= found.high
    ]
    assert outside == []
