"""Where new values have left the locked ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audit.pipeline.locking.platform import Spread
from audit.pipeline.locking.values import Printed, Values
from audit.pipeline.results import Array, Scalar

# Two rounded numbers that differ by just the tolerance are within it, whatever their last bits.
_SLACK = 1e-9
# More would scroll away what to do about them.
_SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """One address at which the new values are not the locked ones."""

    address: str
    """Where."""
    what: str
    """What of it differs: `value`, `low`, `high`, `chance`, `digits`, `unit`, `interval`, `shape`,
    `elements`, `text`, `kind`; `missing` if it is locked alone, `new` if it is not locked."""
    locked: str
    """As locked."""
    computed: str
    """As it came out now."""
    tolerance: float | None = None
    """What would have been allowed."""

    def __str__(self) -> str:
        if self.what == "missing":
            return f"{self.address}: locked as {self.locked}, but this code does not make it"
        if self.what == "new":
            return f"{self.address}: now {self.computed}, and not locked"
        allowed = "" if self.tolerance is None else f" (tolerance {self.tolerance:g})"
        name = "" if self.what in ("value", "text") else f" {self.what}"
        return f"{self.address}{name}: locked {self.locked}, now {self.computed}{allowed}"


BETWEEN_MACHINES = frozenset({"value", "low", "high", "chance", "elements"})
"""Kinds of difference that another numeric ABI may make."""


@dataclass(frozen=True)
class MismatchReport:
    """Why computed and locked values cannot pass for the same."""

    differences: tuple[Difference, ...]
    """Values that have left their tolerance, are new, or are gone."""
    foreign: tuple[str, ...]
    """Parts that were locked by other code, though their values may agree."""
    profile: str
    """The profile compared."""

    @property
    def headline(self) -> str:
        """One line."""
        said = []
        if self.differences:
            said.append(f"{len(self.differences)} values are not as locked")
        if self.foreign:
            said.append(f"{len(self.foreign)} parts were locked by other code")
        return "; ".join(said)

    def __str__(self) -> str:
        shown = [f"  {difference}" for difference in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            shown.append(f"  … and {len(self.differences) - _SHOWN} more")
        shown += [f"  {part}: locked by other code" for part in self.foreign[:_SHOWN]]
        flag = "" if self.profile == "paper" else f" --profile {self.profile}"
        return "\n".join(
            [
                f"{self.headline}:",
                *shown,
                f"two ways on: `invoke lock{flag}` accepts the new values,",
                f"`invoke paper{flag} --draft` renders them under a DRAFT mark",
            ]
        )


EXAMPLE = ".quoted"
"""Ends the address of a text that is an example, such as what one latent fires on. Training on
another processor ends in other latents, so there it may be another; the numbers beside it have
tolerances."""


def compare(new: Values, locked: Values, exactly: bool = False) -> list[Difference]:
    """Every address at which they differ by more than is allowed, sorted.

    Allowed is the locked tolerance, or what was recorded between numeric ABIs where that is more.

    Args:
        new: as computed now.
        locked: as locked.
        exactly: allow nothing; so `invoke lock` shows each change that it would write.
    """
    found: list[Difference] = []
    for address in sorted(new.keys() | locked.keys()):
        if address not in new:
            found.append(Difference(address, "missing", _short(locked[address]), ""))
        elif address not in locked:
            found.append(Difference(address, "new", "", _short(new[address])))
        else:
            spread = Spread() if exactly else locked.spread(address)
            found += _compare(address, new[address], locked[address], spread, exactly)
    return found


def _compare(
    address: str, new: Printed, locked: Printed, spread: Spread, exactly: bool
) -> Iterator[Difference] | list[Difference]:
    if type(new) is not type(locked):
        return [Difference(address, "kind", _short(locked), _short(new))]
    if isinstance(new, Scalar) and isinstance(locked, Scalar):
        return _compare_scalars(address, new, locked, spread, exactly)
    if isinstance(new, Array) and isinstance(locked, Array):
        return _compare_arrays(address, new, locked, spread, exactly)
    if new == locked or (not exactly and address.endswith(EXAMPLE)):
        return []
    return [Difference(address, "text", str(locked), str(new))]


def _compare_scalars(
    address: str, new: Scalar, locked: Scalar, spread: Spread, exactly: bool
) -> Iterator[Difference]:
    if new == locked:
        return
    tolerance = 0.0 if exactly else locked.allowed_difference
    for name in ("value", "low", "high", "chance"):
        now, before = getattr(new, name), getattr(locked, name)
        # The ends of an interval move with its middle and, being estimates from few seeds
        # themselves, as much again.
        allowed = (
            max(2 * tolerance, spread.allowed_end)
            if name in ("low", "high")
            else max(tolerance, spread.allowed_value)
        )
        if now is None and before is None:
            continue
        if now is None or before is None or abs(now - before) > allowed + _SLACK:
            shown = (_number(before, locked.digits), _number(now, new.digits))
            yield Difference(address, name, *shown, tolerance=allowed)
    for name in ("digits", "unit", "interval") + (("tolerance",) if exactly else ()):
        now, before = getattr(new, name), getattr(locked, name)
        if now != before:
            yield Difference(address, name, str(before), str(now))


def _compare_arrays(
    address: str, new: Array, locked: Array, spread: Spread, exactly: bool
) -> Iterator[Difference]:
    if new.values.shape != locked.values.shape:
        yield Difference(address, "shape", str(locked.values.shape), str(new.values.shape))
        return
    if new.digits != locked.digits:
        yield Difference(address, "digits", str(locked.digits), str(new.digits))
    allowed = 0.0 if exactly else max(locked.allowed_difference, spread.allowed_value)
    now, before = new.values.astype(float), locked.values.astype(float)
    apart = np.where(np.isnan(now) & np.isnan(before), 0.0, np.abs(now - before))
    # A gap in one of the two alone is a difference as large as any.
    apart = np.where(np.isnan(apart), np.inf, apart)
    out = apart > allowed + _SLACK
    if out.any():
        worst = tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
        where = ",".join(map(str, worst))
        shown_before = f"[{where}] = {_number(before[worst], locked.digits)}"
        shown_now = f"{_number(now[worst], new.digits)} and {int(out.sum())} of {out.size} out"
        yield Difference(address, "elements", shown_before, shown_now, tolerance=allowed)


def _number(number: float | None, digits: int) -> str:
    return "none" if number is None else f"{number:.{digits}f}"


def _short(value: Printed) -> str:
    if isinstance(value, Scalar):
        return _number(value.value, value.digits)
    if isinstance(value, Array):
        return f"an array {value.values.shape}"
    return str(value)
