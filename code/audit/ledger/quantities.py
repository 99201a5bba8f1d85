"""Values as the rules need them: with the interval they may be judged by, and as text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from audit.pipeline.results import Scalar
from seedstability.errors import UserError


class Values(Protocol):
    """Where judged values come from; `pipeline.locking.locked.Values` is one."""

    def scalar(self, address: str) -> Scalar:
        """The number at an address; `UserError` with near names when there is none."""

    def __contains__(self, address: object) -> bool:
        """Whether there is a value at an address."""


class Spent(Protocol):
    """What one stage took."""

    @property
    def seconds(self) -> float:
        """Wall time."""

    @property
    def megabytes(self) -> float:
        """Peak resident memory."""


Costs = Mapping[str, Spent]


@dataclass(frozen=True)
class Interval:
    """Both ends, in the unit of the value."""

    low: float
    high: float

    def clear_of(self, low: float, high: float) -> bool:
        """Whether none of it lies between two numbers."""
        return self.high < low or high < self.low


def interval(scalar: Scalar) -> Interval | None:
    """The interval of a value; a range of few seeds is none (definitions, Statistics)."""
    if scalar.low is None or scalar.high is None or scalar.interval.startswith("range"):
        return None
    return Interval(scalar.low, scalar.high)


def span(scalar: Scalar) -> Interval:
    """The interval or range of a value; of a value that has neither, the value itself."""
    if scalar.low is None or scalar.high is None:
        return Interval(scalar.value, scalar.value)
    return Interval(scalar.low, scalar.high)


def read(values: Values, address: str, unit: str = "") -> Scalar:
    """The value at an address, in the unit of the entry that asks for it.

    Raises:
        UserError: when there is none, or one of the two is in percent and the other is not.
    """
    scalar = values.scalar(address)
    if (scalar.unit == "%") != (unit == "%"):
        raise UserError(
            f"{address} is printed in {scalar.unit or 'plain numbers'}, but its claim in"
            f" data/claims has the unit {unit!r}; bring both to one"
        )
    return scalar


def difference(values: Values, addresses: Sequence[str], unit: str = "") -> Scalar:
    """The value at one address, or the first minus the second of two.

    The interval of two is as wide as both together, which is never too narrow, whatever the
    two have in common.
    """
    first = read(values, addresses[0], unit)
    if len(addresses) == 1:
        return first
    second = read(values, addresses[1], unit)
    bare = replace(
        first,
        value=first.value - second.value,
        low=None,
        high=None,
        interval="",
        chance=None,
        tolerance=None,
    )
    ours, theirs = interval(first), interval(second)
    if ours is None or theirs is None:
        return bare
    named = joined_names([first.interval, second.interval])
    return replace(bare, low=ours.low - theirs.high, high=ours.high - theirs.low, interval=named)


def joined_names(names: Iterable[str]) -> str:
    """What several intervals are, each said once."""
    return "; ".join(dict.fromkeys(each for name in names if name for each in name.split("; ")))


def interval_name(*scalars: Scalar) -> str:
    """What the intervals of these values are, empty where none has one."""
    return joined_names(scalar.interval for scalar in scalars if scalar.low is not None)


def printed(scalar: Scalar) -> str:
    """A value as text with its interval or range and what that is: `0.29 [0.28, 0.30] (95%)`."""
    digits = supported_digits(scalar)
    text = number(scalar.value, digits, scalar.unit)
    if scalar.low is None or scalar.high is None:
        return text
    low, high = number(scalar.low, digits), number(scalar.high, digits)
    level = "/".join(dict.fromkeys(each.split()[0] for each in scalar.interval.split("; ") if each))
    return f"{text} [{low}, {high}]" + (f" ({level})" if level else "")


def supported_digits(scalar: Scalar) -> int:
    """Decimals that a value is printed with: its own, or fewer where its interval supports no more.

    Half the width of the interval or range is given to two significant digits, and the value to the
    same place (JCGM 100:2008, 7.2.6).
    """
    if scalar.low is None or scalar.high is None or scalar.low == scalar.high:
        return scalar.digits
    place = math.floor(math.log10((scalar.high - scalar.low) / 2)) - 1
    return max(0, min(scalar.digits, -place))


def number(value: float, digits: int, unit: str = "") -> str:
    """A number as text, its unit behind."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return with_unit(text, unit)


def with_unit(digits: str, unit: str) -> str:
    """A printed number with a real minus, its unit behind."""
    gap = " " if unit and unit != "%" else ""
    return digits.replace("-", "−") + gap + unit
