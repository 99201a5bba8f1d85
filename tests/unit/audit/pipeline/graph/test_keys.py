import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache

import pytest

from audit.pipeline.graph import keys
from audit.pipeline.graph.keys import Key, current_sources, portable_keys, settings_of
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order, nested
from helpers.pipeline_bench import CODE


@dataclass(frozen=True)
class Inner:
    k: int = 32
    rate: float = 1.0


@dataclass(frozen=True)
class Twin:
    k: int = 32
    rate: float = 1.0


@dataclass(frozen=True)
class Outer:
    inner: Inner | Twin = Inner()
    seeds: tuple = (1, 2)
    name: str | None = None
    others: tuple = (Inner(),)


FUNCTION = "seedstability.stability.chance.closed_form:chance_level"


@cache
def sources() -> Sources:
    """Our code, parsed once for all tests that edit nothing."""
    return current_sources()


def key(config=None, inputs=None) -> Key:
    stage = Stage("s", FUNCTION, config or Outer(), inputs or {})
    return portable_keys([stage], sources())["s"]


def test_each_setting_stands_at_its_own_address():
    assert dict(settings_of(Outer())) == {
        "class": '"Outer"',
        "inner.class": '"Inner"',
        "inner.k": "32",
        "inner.rate": "1.0",
        "seeds": "[1, 2]",
        "name": "null",
        "others": json.dumps([{"class": '"Inner"', "k": "32", "rate": "1.0"}]),
    }


@pytest.mark.parametrize(
    "config",
    [
        Outer(seeds=(2, 1)),
        Outer(seeds=(1, 2, 3)),
        Outer(name="x"),
        Outer(inner=Inner(k=16)),
        Outer(inner=Inner(rate=1)),
        Outer(inner=Twin()),
        Outer(others=(Inner(k=1),)),
        Outer(others=()),
    ],
)
def test_every_setting_and_class_is_in_the_key(config):
    assert key(config).digest != key().digest
    assert key(replace(config)).digest == key(config).digest


@pytest.mark.parametrize("value", [[1], {1: 2}, object(), 1j, Inner])
def test_what_is_no_setting_is_refused_by_address(value):
    with pytest.raises(TypeError, match="'seeds'"):
        key(Outer(seeds=value))


def test_inputs_and_the_argument_they_go_to_are_in_the_key():
    one, two = Stage("1", FUNCTION, Inner(1)), Stage("2", FUNCTION, Inner(2))
    variants = [{}, {"a": one}, {"b": one}, {"a": two}, {"a": one, "b": two}]
    variants += [{"a": {"b": one}}, {"a": {"b": two}}, {"b": {"a": one}}]
    assert len({key(inputs=variant).digest for variant in variants}) == 8


def test_nested_inputs_are_found_by_address_and_nested_again():
    one, two = Stage("1", FUNCTION, Inner(1)), Stage("2", FUNCTION, Inner(2))
    inputs = {"data": one, "arms": {"topk": {"train": one, "compare": two}, "relu": two}}
    needed = Stage("s", FUNCTION, Inner(), inputs).needed
    assert list(needed) == ["data", "arms/topk/train", "arms/topk/compare", "arms/relu"]
    assert nested(needed) == inputs
    assert [stage.name for stage in in_order([Stage("s", FUNCTION, Inner(), inputs)])] == [
        "1",
        "2",
        "s",
    ]


@pytest.mark.parametrize("inputs", [{"a": {}}, {"a/b": "stage"}, {"a": {"b/c": "stage"}}])
def test_inputs_that_could_not_be_nested_again_are_refused(inputs):
    with pytest.raises(ValueError, match=r"is an empty mapping|has a slash"):
        Stage("s", FUNCTION, Inner(), inputs)


def test_the_stages_own_name_is_not_in_the_key():
    a, b = Stage("a", FUNCTION, Inner()), Stage("b", FUNCTION, Inner())
    found = portable_keys([a, b])
    assert found["a"] == found["b"]


def test_versions_leave_the_variant_to_the_abi(monkeypatch):
    monkeypatch.setattr(keys, "version", lambda package: "2.13.0+cpu")
    assert keys._version("torch") == "2.13.0"


def test_absent_packages_are_said_to_be_absent():
    assert keys._version("no-such-package-here") == "absent"
    assert set(keys.package_versions()) == set(keys.NUMERIC_PACKAGES)


def test_a_key_comes_back_from_its_ingredients():
    found = key(inputs={"a": Stage("1", FUNCTION, Inner(1))})
    again = Key.from_ingredients(json.loads(json.dumps(found.ingredients())))
    assert again == found
    assert again.digest == found.digest


def test_two_different_stages_cannot_share_a_name():
    one, other = Stage("s", FUNCTION, Inner(1)), Stage("s", FUNCTION, Inner(2))
    with pytest.raises(ValueError, match="two different stages"):
        in_order([one, other])
    below = [
        Stage("top/a", FUNCTION, Inner(), {"x": one}),
        Stage("top/b", FUNCTION, Inner(), {"x": other}),
    ]
    with pytest.raises(ValueError, match="'s'"):
        in_order(below)
    assert len(in_order([one, Stage("s", FUNCTION, Inner(1))])) == 1


def test_keys_abi_status_and_locked_values_import_no_torch():
    code = (
        "import sys;"
        "from audit.pipeline.execution import run, status, workers;"
        "from audit.pipeline.graph import drawing; from audit.pipeline.locking import locked;"
        "from seedstability.numerics.abi import numeric_abi; numeric_abi();"
        "print([m for m in ('torch', 'transformer_lens', 'scipy', 'rich') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(CODE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
