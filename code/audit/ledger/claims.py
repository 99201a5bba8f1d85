"""The claims under audit: what an entry of `data/claims` holds."""

import re
from dataclasses import dataclass

from audit.ledger.checks import Check, require_address

_ID = re.compile(r"C\d\d")


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
class Claim:
    """One claim of one report."""

    id: str
    """As in `C01`; never given twice."""
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
    notes: str = ""
    """What a reader of the verdict should know."""

    @property
    def kind(self) -> str:
        """The kinds of its checks, each once."""
        return ", ".join(dict.fromkeys(check.kind for check in self.check))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that the claim reads, each once."""
        read = [address for check in self.check for address in check.addresses]
        return tuple(dict.fromkeys([*read, *(shown.address for shown in self.beside)]))

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id is {self.id!r}; it must be like C01")
        if not self.check:
            raise ValueError("check is empty; a claim is judged by at least one")
