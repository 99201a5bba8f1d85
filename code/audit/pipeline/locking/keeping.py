"""Which experiments keep their locked values when code was only moved, or on another machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.pipeline.locking.differences import BETWEEN_MACHINES, Difference, compare
from audit.pipeline.locking.locked import LockedRun
from audit.pipeline.locking.platform import Spread, spread_between
from audit.pipeline.locking.values import Values
from seedstability.numerics.abi import NumericABI


@dataclass(frozen=True)
class Kept:
    """What `lock` leaves as it is."""

    experiments: frozenset[str]
    """Their values stay."""
    differences: tuple[Difference, ...]
    """Values of these that have left their tolerance on another numeric ABI."""
    spreads: Mapping[str, Spread]
    """How far each of them lies away."""


def keepable(new: Values, locked: Values, runs: Mapping[str, LockedRun], abi: NumericABI) -> Kept:
    """Decide for each locked experiment whether its values can stay.

    They can where every computed value is within what is allowed. On another numeric ABI than the
    one that gave them they can also where numbers alone differ: that is what another machine may
    do, and how far is recorded. On the same one a number that moved is another result.

    Args:
        new: as computed now.
        locked: as locked.
        runs: the run behind each locked experiment.
        abi: of the machine that computed `new`.
    """
    by_experiment: dict[str, list[Difference]] = {name: [] for name in runs}
    for difference in compare(new, locked):
        by_experiment.setdefault(difference.address.partition(".")[0], []).append(difference)
    experiments: set[str] = set()
    outside: list[Difference] = []
    spreads: dict[str, Spread] = {}
    for name, run in runs.items():
        found = by_experiment[name]
        apart = {
            each.address: spread_between(new[each.address], locked[each.address], str(abi))
            for each in found
            if each.what in BETWEEN_MACHINES
        }
        known = {address: spread for address, spread in apart.items() if spread is not None}
        numbers_alone = all(
            each.what in BETWEEN_MACHINES and each.address in known for each in found
        )
        if numbers_alone and (run.abi != abi or not found):
            experiments.add(name)
            outside += found
            spreads |= known
    return Kept(frozenset(experiments), tuple(outside), spreads)
