"""Sensitivity of each bound sentence to each value that it rests on.

Every address of every predicate of the paper is moved, alone: some shift must make it false, and
the build must name the sentence. An address that no shift can make matter is none of its sentence.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from audit.manuscript.edition import Edition
from audit.manuscript.macros import Source
from audit.manuscript.predicates import Holds, bound_sentences, check, evaluate
from audit.pipeline.locking.locked import read_values
from audit.pipeline.results import Array, Scalar
from helpers.repository import ROOT
from seedstability.errors import UserError

LOCKED = ROOT / "data" / "locked"
VALUES = read_values(LOCKED / "paper") | read_values(LOCKED / "long")
SOURCES = [
    Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    for path in sorted((ROOT / "paper").rglob("*.tex"))
    if path.name != "macros.tex"
]
SOURCES.append(Source("README.md", (ROOT / "README.md").read_text("utf-8")))
BOUND = [holds for source in SOURCES for holds in bound_sentences(source)]
ADDRESS = re.compile(r"\b[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
SIZES = (0.01, 0.1, 0.5, 1.0, 3.0, 10.0, 1000.0)


class Shifted:
    """The locked values, one of them changed."""

    def __init__(self, address: str, leaf: object):
        self.address, self.changed = address, leaf

    def __contains__(self, address: object) -> bool:
        return address in VALUES

    def leaf(self, address: str) -> object:
        return self.changed if address == self.address else VALUES.leaf(address)

    scalar = leaf


def stem(address: str) -> str:
    """The address of the value, of which a predicate may read an end."""
    return address if address in VALUES else address.rpartition(".")[0]


def changes(leaf: object) -> Iterator[object]:
    """What may stand there instead."""
    if isinstance(leaf, Scalar):
        for size in SIZES:
            for away in (-size, size):
                step = away * (abs(leaf.value) + 0.1)
                ends = {
                    name: end + step
                    for name in ("low", "high", "chance")
                    if (end := getattr(leaf, name)) is not None
                }
                yield replace(leaf, value=leaf.value + step, **ends)
                # The interval alone: wide ones no longer exclude what they did.
                if leaf.low is not None and leaf.high is not None:
                    yield replace(leaf, low=leaf.low - abs(step), high=leaf.high + abs(step))
    elif isinstance(leaf, Array):
        values = np.asarray(leaf.values)
        yield from (replace(leaf, values=each) for each in (values[::-1], values * 0, -values - 9))
        yield replace(leaf, values=values + 1000)
    elif isinstance(leaf, str):
        yield f"not {leaf}"
    elif isinstance(leaf, int | float):
        yield from (leaf + away * (abs(leaf) + 1) for size in SIZES for away in (-size, size))


@pytest.mark.parametrize("holds", BOUND, ids=lambda holds: holds.place)
def test_every_value_that_a_sentence_rests_on_can_make_it_false(holds: Holds):
    assert evaluate(holds, VALUES)[0]
    for address in {stem(found) for found in ADDRESS.findall(holds.predicate)}:
        assert any(
            not evaluate(holds, Shifted(address, leaf))[0] for leaf in changes(VALUES.leaf(address))
        ), address


def test_the_build_names_the_sentence_whose_value_has_moved():
    named = 0
    for holds in BOUND[:: max(1, len(BOUND) // 50)]:
        address = stem(ADDRESS.findall(holds.predicate)[0])
        false = next(
            leaf
            for leaf in changes(VALUES.leaf(address))
            if not evaluate(holds, Shifted(address, leaf))[0]
        )
        source = next(each for each in SOURCES if holds.place.startswith(each.name))
        with pytest.raises(UserError) as caught:
            check([source], Edition(Shifted(address, false), "2026-01-01"))
        assert "does not hold" in str(caught.value)
        named += holds.place in str(caught.value)
    # Another sentence that rests on the same value may come first in its file.
    assert named > 25
