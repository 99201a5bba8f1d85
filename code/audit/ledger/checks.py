"""What is judged of a claim: one class a kind of check, with the fields that its rule reads.

Addresses of results stand in the entries of `data/claims` alone, never in code.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from audit.ledger.quantities import with_unit

_ADDRESS = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+){2,}")
_PRINTED = re.compile(r"-?\d+(\.\d+)?")
SIGNS = ("positive", "negative", "not_positive", "not_negative")
OPERATIONS = ("interval_above", "interval_below", "equivalent", "inside")
SUBJECTS = ("small", "public", "modular addition")
"""What a check can have been made on where the report's own model is another: the small language
model of this repository, a public one, the transformer that adds."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What every kind of check has."""

    kind: ClassVar[str]
    what: str
    """Which figure or arm of the claim, in a few words."""
    theirs: str
    """The report's figure as printed, or what it says in our words."""
    unit: str = ""
    """Unit of the report's figure, of margins and of tolerances."""
    subject: str = ""
    """Where the report's own model is another: the subject that stands in for it here."""
    chance: str = ""
    """Address of the chance level that stands beside our value."""
    kappa: tuple[str, ...] = ()
    """Addresses of κ with 90% intervals; when all are equivalent to zero, a check that holds
    holds at chance."""

    @property
    def stated(self) -> str:
        """The report's figure or statement as printed."""
        return self.theirs

    @property
    def judged(self) -> tuple[str, ...]:
        """Addresses that the verdict depends on."""
        return self.kappa

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that the check reads."""
        return self.judged + ((self.chance,) if self.chance else ())

    @property
    def untested(self) -> str:
        """Why this check cannot be judged; empty where it can."""
        return ""

    def __post_init__(self) -> None:
        for address in self.addresses:
            require_address(address)
        if self.subject:
            _one_of("subject", self.subject, SUBJECTS)


@dataclass(frozen=True, kw_only=True)
class Figure(Check):
    """A value, judged in the report's own setting."""

    kind: ClassVar[str] = "figure"
    tolerance: float
    """Largest distance from theirs that counts as reproduced."""
    relative: bool = False
    """Whether the tolerance is a share of their figure."""
    reason: str
    """Why this tolerance."""
    ours: str
    """Address of our value."""
    without_defect: str = ""
    """Address of the same value without the defect, where a defect may have made it."""
    rests_on: str = ""
    """What the figure rests on that the report does not publish; then ours stands beside theirs
    and is not judged."""

    @property
    def judged(self) -> tuple[str, ...]:
        """See `Check`."""
        if self.rests_on:
            return ()
        return (self.ours, *((self.without_defect,) if self.without_defect else ()), *self.kappa)

    @property
    def addresses(self) -> tuple[str, ...]:
        """See `Check`."""
        return (self.ours, *super().addresses)

    @property
    def untested(self) -> str:
        """See `Check`."""
        return f"rests on {self.rests_on}" if self.rests_on else ""

    @property
    def stated(self) -> str:
        """See `Check`."""
        return with_unit(self.theirs, self.unit)

    @property
    def band(self) -> tuple[float, float]:
        """The values that count as reproduced."""
        theirs = float(self.theirs)
        width = self.tolerance * abs(theirs) if self.relative else self.tolerance
        return theirs - width, theirs + width

    def __post_init__(self) -> None:
        super().__post_init__()
        _number(self.theirs)
        _positive("tolerance", self.tolerance)


@dataclass(frozen=True, kw_only=True)
class Equality(Check):
    """Two arms said to give the same: a test of equivalence."""

    kind: ClassVar[str] = "equality"
    margin: float
    """Largest difference that counts as none."""
    reason: str
    """Why this margin."""
    ours: tuple[str, ...]
    """Address of the difference, or of the two values whose difference is meant."""
    without_defect: tuple[str, ...] = ()
    """The same difference without the defect, where a defect may have made the equality."""

    @property
    def judged(self) -> tuple[str, ...]:
        """See `Check`."""
        return self.ours + self.without_defect + self.kappa

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("margin", self.margin)
        _one_or_two("ours", self.ours)
        if self.without_defect:
            _one_or_two("without_defect", self.without_defect)


@dataclass(frozen=True, kw_only=True)
class Direction(Check):
    """A sign, of a difference or of the distance from a stated level."""

    kind: ClassVar[str] = "direction"
    sign: str
    """The sign that the report claims; `not_positive` and `not_negative` claim that something
    does not rise, or does not fall."""
    level: float = 0.0
    """Level from which the sign is counted."""
    margin: float = 0.0
    """Largest change that counts as none, for the two negated signs."""
    test: bool = False
    """Whether the value is a test statistic less what it must exceed: on the claimed side the test
    rejects; on the other it does not, and that shows nothing."""
    reason: str
    """Why this sign, level and margin stand for the claim."""
    ours: tuple[str, ...]
    """Address of the value, or of the two values whose difference is meant."""

    @property
    def judged(self) -> tuple[str, ...]:
        """See `Check`."""
        return self.ours + self.kappa

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("sign", self.sign, SIGNS)
        _one_or_two("ours", self.ours)
        if self.sign.startswith("not_"):
            _positive("margin", self.margin)
        elif self.margin:
            raise ValueError("margin belongs to not_positive and not_negative alone")


@dataclass(frozen=True, kw_only=True)
class Chance(Check):
    """The report's statement about its own chance level."""

    kind: ClassVar[str] = "chance"
    tolerance: float
    """Largest distance of the true level that the report's word allows."""
    reason: str
    """Why this tolerance."""
    ours: str
    """Address of the chance level of the same statistic at the same sizes."""

    @property
    def judged(self) -> tuple[str, ...]:
        """See `Check`."""
        return (self.ours, *self.kappa)

    @property
    def stated(self) -> str:
        """See `Check`."""
        return with_unit(self.theirs, self.unit)

    @property
    def band(self) -> tuple[float, float]:
        """The levels that the report's word allows."""
        theirs = float(self.theirs)
        return theirs - self.tolerance, theirs + self.tolerance

    def __post_init__(self) -> None:
        super().__post_init__()
        _number(self.theirs)
        _positive("tolerance", self.tolerance)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One condition that must hold if a conclusion is right."""

    name: str
    """The arm as it is named when it fails."""
    op: str
    """`interval_above` or `interval_below` the first bound, `equivalent` within ± the first
    bound, `inside` both bounds."""
    bounds: tuple[float, ...]
    """One number, or two for `inside`."""
    reason: str
    """Why these bounds."""
    address: str
    """Address of the value."""

    def __post_init__(self) -> None:
        _one_of("op", self.op, OPERATIONS)
        wanted = 2 if self.op == "inside" else 1
        if len(self.bounds) != wanted:
            raise ValueError(f"bounds of {self.op} must be {wanted}, not {len(self.bounds)}")
        if self.op == "equivalent":
            _positive("the bound", self.bounds[0])


@dataclass(frozen=True, kw_only=True)
class Inference(Check):
    """A conclusion drawn, judged by the arms that test it: all must hold."""

    kind: ClassVar[str] = "inference"
    arms: tuple[Arm, ...]
    """The conditions."""

    @property
    def judged(self) -> tuple[str, ...]:
        """See `Check`."""
        return tuple(arm.address for arm in self.arms) + self.kappa

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.arms:
            raise ValueError("arms is empty; a conclusion is judged by at least one")


@dataclass(frozen=True, kw_only=True)
class Cost(Check):
    """What the report spent; ours comes from the locked run's provenance, or, where no stage does
    the same work, from what a benchmark has written."""

    kind: ClassVar[str] = "cost"
    stages: tuple[str, ...] = ()
    """Names of our stages that do the same work; `*` stands for any characters."""
    measured: tuple[str, ...] = ()
    """Addresses of what a benchmark measured of the same work."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """See `Check`."""
        return super().addresses + self.measured

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.stages) == bool(self.measured):
            raise ValueError("a cost has stages, or addresses of what was measured, and not both")


@dataclass(frozen=True, kw_only=True)
class Shown(Check):
    """Theirs beside ours in a note; ours is a result, or the report's own numbers multiplied."""

    kind: ClassVar[str] = "shown"
    ours: str = ""
    """Address of our value."""
    factors: tuple[float, ...] = ()
    """The report's own numbers."""
    divisor: float = 1.0
    """What turns their product into the unit of the note."""
    digits: int = 3
    """Decimals with which the product is printed."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """See `Check`."""
        return super().addresses + ((self.ours,) if self.ours else ())

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.ours) == bool(self.factors):
            raise ValueError("what is shown has an address in ours, or factors, and not both")


UNJUDGED = (Cost, Shown)
"""What stands in notes: theirs beside ours."""
CHECKS: dict[str, type[Check]] = {
    check.kind: check for check in (Figure, Equality, Direction, Chance, Inference, Cost, Shown)
}


def require_address(address: str) -> None:
    """Refuse what could be no address of a result, with a `ValueError`."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address; it must be like experiment.part.value")


def _number(theirs: str) -> None:
    if not _PRINTED.fullmatch(theirs):
        raise ValueError(f"theirs is {theirs!r}; it must be a figure as printed, like 0.2864")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be above 0")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


def _one_or_two(name: str, addresses: tuple[str, ...]) -> None:
    if len(addresses) not in (1, 2):
        raise ValueError(f"{name} has {len(addresses)} addresses; give one, or two to subtract")
