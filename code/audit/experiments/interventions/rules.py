"""What the table of interventions says in words.

Three facts are kept apart, each with its own interval over seeds and none adjusted for the number
of arms: the change of κ between the seeds of an arm; the change of κ with independent reference
dictionaries, which share nothing with the arm but the data; and what κ between the seeds has gained
since before training, which can be asked only where their initializations differ.

These rules replaced others after the results had been seen. The first ones asked whether seeds
that share their initialization are more alike than before training, and none can be: there κ
begins at 1.
"""

from seedstability.stability.statistics.equivalence import equivalent
from seedstability.stability.statistics.jackknife import Interval

CONFIDENCE = 0.95
"""Of the intervals that must lie on one side of zero."""
RISES, FALLS, EQUIVALENT, NOT_SEEN = "rises", "falls", "equivalent", "no change seen"
VERDICTS = (
    "raises, confirmed",
    "raises, not confirmed",
    "shared, and more",
    "shared, no more seen",
    "inherited, and more",
    "inherited, no more seen",
    EQUIVALENT,
    NOT_SEEN,
    "lowers",
)
TRUTHS = ("more of it", "no change seen", "less of it")


def direction(change: Interval) -> str:
    """Where a change of κ points.

    As in all sections, a change is none when its 90% interval lies within the margin of
    equivalence, even if it can be told from zero; beyond that the 95% interval decides.
    """
    if equivalent(change.low90, change.high90):
        return EQUIVALENT
    if change.low > 0:
        return RISES
    return FALLS if change.high < 0 else NOT_SEEN


def verdict(
    between: Interval, reference: Interval, gained: Interval | None, shared: bool = False
) -> str:
    """What an intervention does to stability, one of `VERDICTS`.

    Seeds may agree more because they share information or are drawn together, or because they were
    alike before training already and training has only taken from it: that agreement is shared, or
    inherited, whatever its size. Whether there is more to it, or whether a rise among seeds that
    have nothing in common is confirmed, the independent reference dictionaries say.

    Args:
        between: change of κ between the seeds, against plain training.
        reference: change of κ with the reference dictionaries, against plain training.
        gained: κ between the seeds minus that before training; None where they share their
            initialization.
        shared: whether the seeds share information besides the data, or are drawn together.
    """
    said = direction(between)
    if said != RISES:
        return "lowers" if said == FALLS else said
    seen = direction(reference) == RISES
    inherited = gained is not None and direction(gained) == FALLS
    if shared or inherited:
        source = "shared" if shared else "inherited"
        return f"{source}, and more" if seen else f"{source}, no more seen"
    return "raises, confirmed" if seen else "raises, not confirmed"


def truth_verdict(change: Interval) -> str:
    """What it does to how much of the planted truth is found, one of `TRUTHS`."""
    if change.low > 0:
        return "more of it"
    return "less of it" if change.high < 0 else "no change seen"
