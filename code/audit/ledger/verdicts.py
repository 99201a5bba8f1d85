"""What the ledger can say about a claim, and which of several verdicts is the weakest."""

from collections.abc import Iterable
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
    NOT_TESTABLE = "not testable here"
    """The setting needs weights or tokens that this profile has not."""
    UNDECIDED = "undecided"
    """Our interval includes both."""
    CONTRADICTED = "contradicted"
    """Our interval excludes it."""
    NO_VERDICT = "no verdict"
    """A cost: theirs stands beside ours and nothing is judged."""


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


def weakest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim of several figures; costs count only where there is nothing else."""
    order = list(Verdict)
    judged = [verdict for verdict in verdicts if verdict is not Verdict.NO_VERDICT]
    return max(judged, key=order.index, default=Verdict.NO_VERDICT)
