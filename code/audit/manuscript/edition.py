"""Edition: the values of one rendering of the paper, and facts about the run behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from audit.ledger.verdicts import Verdict
from audit.ledger.verify import Verified, tally
from audit.pipeline.results import Scalar


class ValueSource(Protocol):
    """Source of printed values, such as `pipeline.locking.locked.Values`.

    Each method raises `UserError` with near names if there is nothing at the address.
    """

    def __contains__(self, address: object) -> bool:
        """Whether there is a value at an address."""

    def leaf(self, address: str) -> Any:
        """Whatever stands at an address."""

    def scalar(self, address: str) -> Scalar:
        """The number at an address."""

    def text(self, address: str) -> str:
        """The string at an address."""

    def subtree(self, prefix: str) -> Mapping[str, Any]:
        """Everything below a prefix as nested dictionaries of `Scalar`, arrays and strings."""


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage of the locked run."""

    name: str
    """The stage's name in the graph."""
    seconds: float
    """Wall time."""
    megabytes: float
    """Peak resident memory."""

    @property
    def experiment(self) -> str:
        """The first part of its name: an experiment, or a stage that several share."""
        return self.name.partition("/")[0]


def _judged_on_both(by_subject: Mapping[str, Verdict]) -> bool:
    public = by_subject.get("public", Verdict.NOT_TESTABLE)
    return public is not Verdict.NOT_TESTABLE


@dataclass(frozen=True)
class Edition:
    """All inputs of a rendering besides the files under `paper/`.

    Date, commit and machine are those of the locked run and not of the build, so that all builds
    give the same PDF.
    """

    values: ValueSource
    """Locked values, or a draft's."""
    date: str
    """End of the locked run, such as `2026-01-31`, with or without the time of day in UTC."""
    commit: str = "not recorded"
    """Source commit of the locked run."""
    numeric_abi: str = "not recorded"
    """CPU vendor, instruction set, torch and BLAS build, libc and device of the locked run."""
    confirmed: str = "the run itself"
    """The later run that confirmed the values and recorded the keys of its code, if any."""
    between_machines: int = 0
    """Locked values that another numeric ABI was seen to leave by more than their tolerance."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions of the numeric packages."""
    stages: Sequence[StageCost] = ()
    """Cost of each stage in the locked run."""
    long_stages: Sequence[StageCost] = ()
    """The same of the run of profile `long`."""
    long_date: str = "not locked"
    """End of that run, as `date`."""
    long_commit: str = ""
    """Source commit of that run."""
    long_abi: str = ""
    """Its machine, as `numeric_abi`."""
    claims: Sequence[Verified] = ()
    """The ledger judged on these values; only the `locked` rulings are printed."""
    profile: str = "paper"
    """Profile of the values; any but `paper` is marked on every page."""
    draft: bool = False
    """Whether the values are not locked; marked on every page."""
    rendered: dict[tuple[str, ...], str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Tables rendered from it already, by the template's name and text and the shared macros."""
    environments: dict[Path, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Folder of templates → what renders them with its values, so that macros are read once."""

    @property
    def mark(self) -> str:
        """The mark across every page; empty for the paper itself."""
        profile = "" if self.profile == "paper" else f"{self.profile.upper()} PROFILE"
        return " – ".join(part for part in ("DRAFT" if self.draft else "", profile) if part)

    @cached_property
    def facts(self) -> dict[str, str]:
        """Texts that `\\edition{…}` prints, by name."""
        return {
            "date": self.date[:10],
            "commit": self.commit,
            "numeric_abi": self.numeric_abi,
            "confirmed": self.confirmed,
            "between_machines": str(self.between_machines),
            "profile": self.profile,
            "long_date": self.long_date[:10],
            "long_commit": self.long_commit,
            "long_abi": self.long_abi,
            "long_hours": f"{sum(stage.seconds for stage in self.long_stages) / 3600:.1f}",
            "environment": ", ".join(f"{name} {v}" for name, v in self.environment.items()),
        }

    @cached_property
    def tally(self) -> dict[str, str]:
        """Counts that `\\tally{…}` prints.

        Claims by verdict, all `claims`, all `notes`; `late` rules, which are not older than the
        results to which they apply; claims judged `on_both` language models, and those of them with
        the same verdict on both, `alike`.
        """
        claims = [each for each in self.claims if not each.claim.is_note]
        counts = {str(verdict): n for verdict, n in tally(claims, locked=True).items()}
        counts["claims"] = len(claims)
        counts["notes"] = len(self.claims) - len(claims)
        counts["late"] = sum(each.claim.changed_after_results for each in claims)
        by_subject = [each.locked.by_subject for each in claims]
        both = [each for each in by_subject if _judged_on_both(each)]
        counts["on_both"] = len(both)
        counts["alike"] = sum(each["small"] is each["public"] for each in both)
        return {name: str(count) for name, count in counts.items()}

    @cached_property
    def claimed(self) -> dict[str, str]:
        """Figures of the reports that `\\claimed{…}` prints.

        `C13` is the first figure of a claim, `C13:dead latents, ReLU` the figure of that name.
        """
        figures: dict[str, str] = {}
        for each in self.claims:
            for judgement in each.locked.judgements:
                figures.setdefault(each.claim.id, judgement.theirs)
                figures[f"{each.claim.id}:{judgement.what}"] = judgement.theirs
        return figures
