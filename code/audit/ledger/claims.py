"""The claims under audit: what an entry of `data/claims` holds."""

import re
from dataclasses import dataclass

from audit.ledger.checks import UNJUDGED, Check, require_address

_ID = re.compile(r"C\d\d[a-z]?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
SCOPES = ("own", "model", "general")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A value that is shown with a claim and judges nothing."""

    what: str
    """What it is, in a few words."""
    address: str
    """Where it stands."""

    def __post_init__(self) -> None:
        require_address(self.address)


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where a claim can be tested that this profile may not hold the means for."""

    needs: str
    """The weights or tokens it takes."""
    profile: str
    """The profile that has them."""
    cost: str
    """Estimated cost of that profile, with its unit."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What must hold of a subject before checks on it say anything."""

    address: str
    """Address of a value of that subject."""
    above: float
    """What the value must exceed."""
    because: str
    """Why nothing can be said otherwise."""

    def __post_init__(self) -> None:
        require_address(self.address)


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A check of the same rule on another subject."""

    check: Check
    """The check, at that subject's addresses."""
    need: Need | None = None
    """What must hold there; nothing if None."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that it reads."""
        return self.check.addresses + ((self.need.address,) if self.need else ())


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of one report."""

    id: str
    """As in `C01`, or `C05a` for one of several things that a claim says; never given twice."""
    says: str
    """The claim in our own words."""
    report: str
    """The report's file name."""
    citation: str
    """Its key in `paper/references.bib`."""
    where: str
    """Where in the report it stands."""
    check: tuple[Check, ...]
    """What is judged."""
    beside: tuple[Beside, ...] = ()
    """What is shown besides."""
    elsewhere: Elsewhere | None = None
    """Where it can be tested when this profile has no results for it."""
    scope: str = "own"
    """Where it is stated: in a setting that is the report's own and ours (`own`), on a language
    model that is not ours (`model`), or of anything whatever (`general`)."""
    rule_commit: str = ""
    """Commit at which the checks were last changed in what they judge by."""
    rule_date: str = ""
    """Its date in UTC, as in `2026-01-31 23:59`."""
    results_commit: str = ""
    """Commit that first locked values of an experiment that the checks judge; empty where none
    did."""
    results_date: str = ""
    """Its date in UTC."""
    notes: str = ""
    """What a reader of the verdict should know."""
    twins: tuple[Twin, ...] = ()
    """The same rules on another subject, judged where its values are there. They are made
    when the ledger is read and stand in no entry."""

    @property
    def base(self) -> str:
        """Its id without the letter."""
        return self.id[:3]

    @property
    def is_note(self) -> bool:
        """Whether it stands beside the ledger and gets no verdict."""
        return False

    @property
    def changed_after_results(self) -> bool:
        """Whether the rule is not older than the first results it judges."""
        return bool(self.results_date) and self.rule_date >= self.results_date

    @property
    def kind(self) -> str:
        """The kinds of its checks, each once."""
        return ", ".join(dict.fromkeys(check.kind for check in self.check))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that the claim reads, each once."""
        read = [address for check in self.check for address in check.addresses]
        return tuple(dict.fromkeys([*read, *(shown.address for shown in self.beside)]))

    def check_of(self, what: str, subject: str) -> Check:
        """The check, or the twin of one, that a judgement is of."""
        every = (*self.check, *(twin.check for twin in self.twins))
        return next(each for each in every if (each.what, each.subject) == (what, subject))

    @property
    def twin_addresses(self) -> tuple[str, ...]:
        """Every address that its twins read, each once."""
        return tuple(dict.fromkeys(a for twin in self.twins for a in twin.addresses))

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id is {self.id!r}; it must be like C01 or C01a")
        if not self.check:
            raise ValueError("check is empty; a claim is judged by at least one")
        if self.scope not in SCOPES:
            raise ValueError(f"scope is {self.scope!r}; it must be one of {', '.join(SCOPES)}")
        _of_kinds(self)
        _of_subjects(self)
        for name in ("rule", "results"):
            _dated(name, getattr(self, f"{name}_commit"), getattr(self, f"{name}_date"))


class Note(Claim):
    """What a report says and no verdict is passed on: a cost, or what a study would need."""

    @property
    def is_note(self) -> bool:
        """See `Claim`."""
        return True


def _of_kinds(claim: Claim) -> None:
    for check in claim.check:
        if isinstance(check, UNJUDGED) != claim.is_note:
            belongs = "a claim" if claim.is_note else "a note"
            raise ValueError(f"check of kind {check.kind} belongs to {belongs}")


def _of_subjects(claim: Claim) -> None:
    for check in claim.check:
        if claim.scope == "model" and not (check.subject or check.untested):
            raise ValueError(f"check {check.what!r} names no subject, but the scope is model")
        if claim.scope != "model" and check.subject:
            raise ValueError(f"check {check.what!r} names a subject, but the scope is not model")


def _dated(name: str, commit: str, date: str) -> None:
    if bool(commit) != bool(date):
        raise ValueError(f"{name}_commit and {name}_date stand together or not at all")
    if commit and not (_COMMIT.fullmatch(commit) and _DATE.fullmatch(date)):
        raise ValueError(f"{name}_commit must be a whole hash, {name}_date like 2026-01-31 23:59")
