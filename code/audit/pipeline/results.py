"""What a stage hands on: a tree of named values, and the addresses of its leaves.

A tree is nested dictionaries whose leaves are numbers, strings, NumPy arrays, or, in what an
experiment measured, `Scalar` and `Array`, which also say how they are printed and how far
another machine may land from them. The names on the way to a leaf, joined by dots, are its
address everywhere: in the locked files, in `\\result{…}`, in a claim's rule, in a figure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

RANGE = "range of"
"""How the label of a range over few seeds begins."""
WIDTHS_OF_A_RANGE = 6.0
"""Where an algorithm amplifies the last bit, as k-means does, another processor draws new seeds in
effect. Of two ranges over three seeds of one normal law, mean and both ends of the one lie within
5.6 widths of the other's in 98 cases of 100 (simulated), within half a width in 35."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True)
class Scalar:
    """One measured number with what is needed to print, judge and compare it."""

    value: float
    """The number as measured, not rounded."""
    digits: int = 3
    """Decimals with which it is printed and locked."""
    unit: str = ""
    """Unit as printed, such as `%`; empty for a pure number."""
    low: float | None = None
    """Lower end of the interval, where there is one."""
    high: float | None = None
    """Upper end of the interval, where there is one."""
    interval: str = ""
    """What the interval is, such as `95% jackknife over 20 seeds` or `range of 3 seeds`."""
    chance: float | None = None
    """Chance level of the same statistic at the same sizes, where it has one."""
    tolerance: float | None = None
    """Largest difference that another machine may honestly show. Left out, it is half the width of
    an interval, or `WIDTHS_OF_A_RANGE` widths of a range, and at least one and a half units of
    the last printed digit."""

    @property
    def allowed_difference(self) -> float:
        """The tolerance in force."""
        if self.tolerance is not None:
            return self.tolerance
        width = 0.0 if self.low is None or self.high is None else self.high - self.low
        share = WIDTHS_OF_A_RANGE if self.interval.startswith(RANGE) else 0.5
        return max(share * width, 1.5 * 10.0**-self.digits)


@dataclass(frozen=True)
class Array:
    """A plotted array."""

    values: np.ndarray
    """Numbers of any shape, not rounded."""
    digits: int = 4
    """Decimals with which each is locked."""
    tolerance: float | None = None
    """Largest difference of any element; left out, one and a half units of the last digit."""

    @property
    def allowed_difference(self) -> float:
        """The tolerance in force."""
        return 1.5 * 10.0**-self.digits if self.tolerance is None else self.tolerance


Leaf = Scalar | Array | np.ndarray | bool | int | float | str
Tree = Mapping[str, "Tree | Leaf"]


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with its address, in the tree's own order.

    Raises:
        ValueError: for a name that could not stand in an address.
    """
    for name, branch in tree.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{prefix}{name!r} is no name for a value; use a-z, 0-9 and, after the first, _"
            )
        if isinstance(branch, Mapping):
            yield from leaves(branch, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", branch


def from_leaves(flat: Mapping[str, Leaf]) -> dict:
    """The tree whose leaves stand at these addresses; the inverse of `leaves`."""
    tree: dict = {}
    for address, leaf in flat.items():
        *path, name = address.split(".")
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
        branch[name] = leaf
    return tree
