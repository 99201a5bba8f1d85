"""Values as they are printed: rounded, each at its address."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np

from audit.pipeline.locking.platform import Spread
from audit.pipeline.results import Array, Leaf, Scalar, Tree, from_leaves, leaves
from seedstability.errors import UserError

Printed = Scalar | Array | str | bool


class Values(Mapping[str, Printed]):
    """Rounded values by address, with an error that helps where there is none."""

    def __init__(
        self,
        flat: Mapping[str, Leaf],
        source: str = "the locked values",
        spreads: Mapping[str, Spread] | None = None,
    ):
        """Round what is not rounded yet.

        Args:
            flat: leaf by address.
            source: where they are from, as error messages say it.
            spreads: of locked values, how far other numeric ABIs were seen to lie.

        Raises:
            UserError: a number that is not finite, or a leaf that cannot be printed.
        """
        self.source = source
        self._flat = {address: rounded(leaf, address) for address, leaf in flat.items()}
        self.spreads = dict(spreads or {})

    @classmethod
    def from_tree(cls, tree: Tree, source: str = "the new values") -> "Values":
        """The values of a tree, such as `{experiment: {part: result}}`."""
        return cls(dict(leaves(tree)), source)

    def __getitem__(self, address: str) -> Printed:
        return self._flat[address]

    def __iter__(self) -> Iterator[str]:
        return iter(self._flat)

    def __len__(self) -> int:
        return len(self._flat)

    def __contains__(self, address: object) -> bool:
        return address in self._flat

    def __or__(self, other: "Values") -> "Values":
        flat, spreads = {**self._flat, **other._flat}, {**self.spreads, **other.spreads}
        return Values(flat, self.source, spreads)

    def of(self, addresses: Iterable[str]) -> "Values":
        """Those at some addresses, with their spreads."""
        wanted = [address for address in addresses if address in self._flat]
        spreads = {each: self.spreads[each] for each in wanted if each in self.spreads}
        return Values({each: self._flat[each] for each in wanted}, self.source, spreads)

    def spread(self, address: str) -> Spread:
        """How far another numeric ABI was seen to lie; zero where none was recorded."""
        return self.spreads.get(address, Spread())

    def allowed_difference(self, address: str) -> float:
        """How far a new number or array element may lie from the locked one."""
        found = self._flat[address]
        own = found.allowed_difference if isinstance(found, Scalar | Array) else 0.0
        return max(own, self.spread(address).allowed_value)

    def leaf(self, address: str) -> Printed:
        """Whatever stands at an address; raises as `scalar`."""
        return self._of_kind(address, object, "value")

    def scalar(self, address: str) -> Scalar:
        """The number at an address.

        Raises:
            UserError: there is none, with the nearest addresses that there are.
        """
        return self._of_kind(address, Scalar, "number")

    def array(self, address: str) -> np.ndarray:
        """The array at an address; raises as `scalar`."""
        return self._of_kind(address, Array, "array").values

    def text(self, address: str) -> str:
        """The text at an address, a truth value as `yes` or `no`; raises as `scalar`."""
        found = self._of_kind(address, str | bool, "text")
        if isinstance(found, bool):
            return "yes" if found else "no"
        return found

    def subtree(self, prefix: str = "") -> dict[str, Any]:
        """All that lies below a prefix, as nested dictionaries; raises as `scalar`."""
        addresses = self._below.get(prefix) if prefix else self._flat
        if not addresses:
            raise UserError(self._nothing_at(prefix))
        start = len(prefix) + 1 if prefix else 0
        return from_leaves({address[start:]: self._flat[address] for address in addresses})

    def _of_kind(self, address: str, kind: Any, name: str) -> Any:
        found = self._flat.get(address)
        if found is None:
            raise UserError(self._nothing_at(address))
        if not isinstance(found, kind):
            raise UserError(f"{address} is no {name} in {self.source} but a {type(found).__name__}")
        return found

    def _nothing_at(self, address: str) -> str:
        near = self._below.get(address, [])[:3] or difflib.get_close_matches(
            address, [*self._flat, *self._below], n=3
        )
        hint = f"; near: {', '.join(near)}" if near else ""
        return f"there is nothing at {address!r} in {self.source}{hint}"

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        """Every prefix of an address → the addresses below it, in their order."""
        below: dict[str, list[str]] = {}
        for address in self._flat:
            end = address.find(".")
            while end >= 0:
                below.setdefault(address[:end], []).append(address)
                end = address.find(".", end + 1)
        return below


def rounded(leaf: Leaf, address: str) -> Printed:
    """A leaf as it is printed. A bare number is taken for a `Scalar`, a whole one for exact.

    Raises:
        UserError: a number that is not finite, or a leaf that cannot be printed.
    """
    if isinstance(leaf, bool | str):
        return leaf
    if isinstance(leaf, int):
        return Scalar(float(leaf), digits=0, tolerance=0.0)
    if isinstance(leaf, float):
        return _rounded_scalar(Scalar(leaf), address)
    if isinstance(leaf, Scalar):
        return _rounded_scalar(leaf, address)
    if isinstance(leaf, np.ndarray):
        return _rounded_array(Array(leaf), address)
    if isinstance(leaf, Array):
        return _rounded_array(leaf, address)
    raise UserError(
        f"{address} is a {type(leaf).__name__}; numbers, text and arrays can be printed"
    )


def _rounded_scalar(scalar: Scalar, address: str) -> Scalar:
    def short(name: str, number: float | None) -> float | None:
        if number is None:
            return None
        if not math.isfinite(number):
            raise UserError(
                f"{address}: its {name} is {float(number)}; only finite numbers can be printed"
            )
        # Adding zero turns -0.0, which would be printed with its sign, into 0.0.
        return round(float(number), scalar.digits) + 0.0

    value = short("value", scalar.value)
    assert value is not None
    return Scalar(
        value=value,
        digits=scalar.digits,
        unit=scalar.unit,
        low=short("low", scalar.low),
        high=short("high", scalar.high),
        interval=scalar.interval,
        chance=short("chance", scalar.chance),
        tolerance=_two_figures(scalar.allowed_difference),
    )


def _rounded_array(array: Array, address: str) -> Array:
    values = np.asarray(array.values)
    if values.dtype.kind in "iub":
        return Array(values.copy(), digits=0, tolerance=array.tolerance or 0.0)
    if values.dtype.kind != "f":
        raise UserError(f"{address} holds {values.dtype}; arrays of numbers can be plotted")
    if np.isinf(values).any():
        raise UserError(f"{address} holds an infinite number, which cannot be plotted")
    short = np.round(values.astype(np.float64), array.digits) + 0.0
    return Array(short, array.digits, _two_figures(array.allowed_difference))


@cache
def _two_figures(tolerance: float) -> float:
    """Rounded up, so that it reads well and does not change with every run."""
    # Below this a power of ten can underflow, and no such tolerance is meant.
    if tolerance < 1e-300:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(tolerance)) - 1)
    # The last bits of a division must not push 15 to 16.
    return float(f"{math.ceil(tolerance / unit - 1e-6) * unit:.2g}")
