"""What the table of interventions says in words, by rules that were written before it was made.

Every change is against the plain row, in κ of the max cosine over the gauge level, with its p-value
adjusted for the number of rows (Holm).
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from seedstability.stability.statistics.jackknife import Interval
from seedstability.stability.statistics.significance import holm

LEVEL = 0.05
"""Of the whole family of rows."""
VERDICTS = ("raises", "shared information only", "no effect seen", "lowers")
TRUTHS = ("more of it", "no change seen", "less of it")


def adjusted(changes: list[Interval], seeds: int) -> Float[ndarray, " rows"]:
    """Two-sided p-values of the changes, by Student's law over the seeds, adjusted after Holm."""
    sizes, errors = (
        np.array([abs(getattr(change, what)) for change in changes])
        for what in ("mean", "standard_error")
    )
    # Without any spread a change is certain, and no change is none.
    t = np.divide(sizes, errors, out=np.where(sizes > 0, np.inf, 0.0), where=errors > 0)
    return holm(2 * stats.t.sf(t, seeds - 1))


def verdict(
    change: Interval, p: float, shared: bool, above_untrained: Interval, judge: Interval
) -> str:
    """What an intervention does to stability, one of `VERDICTS`.

    A rise among seeds that share nothing but the data is a rise. Seeds that share information, or
    were drawn together, must besides be more alike than that information makes them before
    training, and independent plain dictionaries must agree more with them than with plain ones.

    Args:
        change: of κ between seeds.
        p: its adjusted p-value.
        shared: whether the seeds share information besides the data.
        above_untrained: κ between seeds over the untrained level.
        judge: change of κ with the judges.
    """
    if not p < LEVEL:
        return "no effect seen"
    if change.mean < 0:
        return "lowers"
    if shared and not (above_untrained.low > 0 and judge.low > 0):
        return "shared information only"
    return "raises"


def truth_verdict(change: Interval) -> str:
    """What it does to how much of the planted truth is found, one of `TRUTHS`."""
    if change.low > 0:
        return "more of it"
    return "less of it" if change.high < 0 else "no change seen"
