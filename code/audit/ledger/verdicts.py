"""What the ledger can say about a claim, and which of several verdicts is the weakest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """In the order in which they weaken a claim, strongest first."""

    REPRODUCED = "reproduced"
    """Inside the tolerance, or the direction holds with its interval clear of zero."""
    AT_CHANCE = "reproduced, at chance"
    """The same, and equivalent to its chance level."""
    DEFECT = "reproduced, defect"
    """It comes out with the defect that made it, and changes without."""
    TRANSFERS = "transfers"
    """A direction stated on another model, and it holds on the subjects that stand in for it."""
    NOT_TESTABLE = "not testable here"
    """The setting needs weights or tokens that this profile has not, or that were not published."""
    UNDECIDED = "undecided"
    """Our interval includes both, or a test did not reject, which shows nothing."""
    MIXED = "mixed"
    """It transfers to one subject and not to another."""
    DOES_NOT_TRANSFER = "does not transfer"
    """A direction stated on another model, and our interval excludes it on the subjects here."""
    CONTRADICTED = "contradicted"
    """Our interval excludes it, in the report's own setting or for a general statement."""
    NO_VERDICT = "no verdict"
    """A note: theirs stands beside ours and nothing is judged."""


@dataclass(frozen=True)
class Judgement:
    """One figure of a claim, judged."""

    what: str
    """Which figure, in a few words."""
    theirs: str
    """The report's figure or direction as printed."""
    ours: str
    """Ours with its interval."""
    chance: str
    """Chance level of the same statistic, empty where it has none."""
    verdict: Verdict
    """Computed by the rule of the figure's kind."""
    because: str
    """The comparison that gave the verdict."""
    interval: str = ""
    """What the interval is that the verdict rests on, empty where it rests on none."""
    subject: str = ""
    """On what it was judged, where the report's own model is another."""


def weakest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim of several figures; notes count only where there is nothing else."""
    order = list(Verdict)
    judged = [verdict for verdict in verdicts if verdict is not Verdict.NO_VERDICT]
    return max(judged, key=order.index, default=Verdict.NO_VERDICT)


def transferred(verdict: Verdict) -> Verdict:
    """What a verdict is called where the claim was stated on another model than the one at hand."""
    named = {
        Verdict.REPRODUCED: Verdict.TRANSFERS,
        Verdict.CONTRADICTED: Verdict.DOES_NOT_TRANSFER,
    }
    return named.get(verdict, verdict)


def over_subjects(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdict over all subjects; those on which nothing could be tested say nothing."""
    found = {each for each in verdicts.values() if each is not Verdict.NOT_TESTABLE}
    if not found:
        return Verdict.NOT_TESTABLE
    if {Verdict.TRANSFERS, Verdict.DOES_NOT_TRANSFER} <= found:
        return Verdict.MIXED
    return Verdict.UNDECIDED if Verdict.UNDECIDED in found else weakest(found)
