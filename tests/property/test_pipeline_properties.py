import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from audit.pipeline.graph.keys import Key, settings_of
from audit.pipeline.graph.sources import Sources
from audit.pipeline.locking.differences import compare
from audit.pipeline.locking.locked import LockedRun, read_values, write
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar, from_leaves, leaves
from audit.pipeline.store import codec
from seedstability.numerics.abi import numeric_abi

numbers = st.floats(-1e6, 1e6)
names = st.from_regex(r"[abc0][abc_0]{0,2}", fullmatch=True)
dtypes = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_])
tensors = dtypes.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, min_side=0)))
scalars = st.builds(
    Scalar,
    numbers,
    digits=st.integers(0, 6),
    unit=st.sampled_from(["", "%"]),
    low=st.none() | numbers,
    high=st.none() | numbers,
    chance=st.none() | numbers,
    tolerance=st.none() | st.floats(0, 10),
)
plotted = arrays(
    np.float64, array_shapes(min_dims=0, min_side=0), elements=numbers | st.just(np.nan)
)
curves = st.builds(Array, plotted, digits=st.integers(0, 6))
plain = st.text(max_size=5) | st.booleans() | st.integers() | st.floats(allow_nan=False)
leaf = plain | scalars | curves | tensors
trees = st.recursive(
    st.dictionaries(names, leaf, min_size=1, max_size=3),
    lambda below: st.dictionaries(names, below | leaf, min_size=1, max_size=3),
    max_leaves=6,
)
printable = st.dictionaries(
    names, scalars | curves | st.booleans() | st.text(max_size=5), max_size=4
)


def same(one, other) -> bool:
    if isinstance(one, Array):
        return (one.digits, one.tolerance) == (other.digits, other.tolerance) and same(
            one.values, other.values
        )
    if isinstance(one, np.ndarray):
        bits = one.tobytes() == other.tobytes()
        return bits and (one.dtype, one.shape) == (other.dtype, other.shape)
    return type(one) is type(other) and one == other


@given(trees)
@settings(max_examples=60, deadline=None)
def test_codec_round_trip_is_exact(tree):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        with path.open("wb") as file:
            codec.write(file, tree, {})
        found = codec.read(path)
        assert list(dict(leaves(found))) == list(dict(leaves(tree)))
        for address, value in leaves(tree):
            assert same(value, dict(leaves(found))[address])


@given(trees, st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_detected(tree, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        with path.open("wb") as file:
            codec.write(file, tree, {})
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        try:
            codec.verify(path)
        except codec.DamagedResult:
            return
        raise AssertionError(f"a flipped bit in byte {at} was not detected")


@given(trees)
def test_tree_is_restored_from_its_leaves(tree):
    flat = dict(leaves(tree))
    assert dict(leaves(from_leaves(flat))) == flat or any(
        isinstance(value, np.ndarray | Array) for value in flat.values()
    )


@given(printable)
@settings(max_examples=60, deadline=None)
def test_printed_values_are_stable_and_survive_the_disk(flat):
    values = Values({f"x.{name}": value for name, value in flat.items()})
    assert compare(Values(values), values, exactly=True) == []
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "x", values, LockedRun("", "", numeric_abi(), {}))
        assert compare(read_values(Path(folder)), values, exactly=True) == []
        assert compare(read_values(Path(folder)), values) == []


LINES = ("x = 1", "def f(a):", "    return a", "y = f(x)", "class C:", "    z = 2")


@given(st.lists(st.tuples(st.integers(0, len(LINES)), st.sampled_from(["# c", "", "'text'"]))))
@settings(deadline=None)
def test_comments_blank_lines_and_bare_strings_keep_the_digest(inserted):
    lines = list(LINES)
    for at, line in sorted(inserted, reverse=True):
        indent = "    " if line and 0 < at < len(LINES) and LINES[at].startswith(" ") else ""
        lines.insert(at, indent + line)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "toy")
        package.mkdir()
        digests = []
        for text in (LINES, lines):
            (package / "stages.py").write_text("\n".join(text) + "\n")
            digests.append(Sources(Path(folder), ("toy",)).closure(["toy.stages:f"]))
        assert digests[0] == digests[1]


mappings = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)


@given(mappings, mappings, mappings, mappings)
def test_keys_differ_iff_their_ingredients_do(a, b, c, d):
    one, other = Key("f", a, b, c, d), Key("f", b, a, c, d)
    assert (one.digest == other.digest) == (a == b)
    assert Key.from_ingredients(one.ingredients()) == one


@given(st.recursive(st.integers() | st.floats(allow_nan=False) | st.text(), st.tuples))
def test_settings_differ_iff_their_values_do(value):
    [(_, text)] = settings_of(value)
    [(_, other)] = settings_of((value,))
    assert text != other


@pytest.mark.parametrize("name", ["_", "__metadata__", "A", "a b", ""])
def test_ambiguous_name_is_refused(name):
    with pytest.raises(ValueError, match="is no name for a value"):
        list(leaves({name: 1}))
