"""What a run would do, in its order, and what it may cost; nothing is run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from audit.pipeline.execution.run import plan
from audit.pipeline.graph.schedule import running_order
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage
from audit.pipeline.store.history import History
from audit.pipeline.store.store import Store
from seedstability.terminal import duration


@dataclass(frozen=True)
class Expected:
    """What one stage may take."""

    seconds: float
    """On one core."""
    memory: float
    """Bytes, at the peak."""
    disk: float = 0.0
    """Bytes on disk beside its result."""
    dictionaries: int = 0
    """Trainings in it."""


def forecast(
    stages: Iterable[Stage],
    store: Store,
    known: Mapping[str, Expected],
    rough: Callable[[Stage], Expected | None],
    sources: Sources | None = None,
) -> str:
    """Every stage that is not in the store on a line, in the order of one worker, and the sums.

    Args:
        stages: the ends of the graph.
        store: where results are; what it remembers of a stage's time counts first.
        known: what stages took in the locked run, by name.
        rough: an estimate from a stage's settings, where there is one.
        sources: the code; left out, the package as it is on disk.
    """
    planned = plan(stages, store, sources)
    history = History(store)
    expected = {
        stage.name: _expected(stage, history.seconds(stage, planned.keys[stage.name]), known, rough)
        for stage in planned.missing
    }
    costs = {name: found.seconds if found else 0.0 for name, found in expected.items()}
    order = running_order(planned.missing, planned.keys, costs)
    lines = [_line(i, stage.name, expected[stage.name]) for i, stage in enumerate(order, start=1)]
    found = [each for each in expected.values() if each]
    return "\n".join([*lines, _sum(found, len(order) - len(found))])


def _expected(
    stage: Stage,
    seconds: float | None,
    known: Mapping[str, Expected],
    rough: Callable[[Stage], Expected | None],
) -> Expected | None:
    guess = rough(stage)
    if seconds is not None:
        memory, disk, trained = (
            (guess.memory, guess.disk, guess.dictionaries) if guess else (0.0,) * 3
        )
        return Expected(seconds, memory, disk, int(trained))
    return known.get(stage.name) or guess


def _line(place: int, name: str, expected: Expected | None) -> str:
    if expected is None:
        return f"{place:4d}  {name}: unknown"
    trained = f", {expected.dictionaries} dictionaries" if expected.dictionaries else ""
    disk = f", {expected.disk / 1e9:.1f} GB on disk" if expected.disk > 1e8 else ""
    memory = f", {expected.memory / 1e9:.1f} GB" if expected.memory else ""
    return f"{place:4d}  {name}: {duration(expected.seconds)}{memory}{disk}{trained}"


def _sum(expected: list[Expected], unknown: int) -> str:
    seconds = sum(each.seconds for each in expected)
    trained = sum(each.dictionaries for each in expected)
    disk = sum(each.disk for each in expected)
    most = max((each.memory for each in expected), default=0.0)
    also = f", and {unknown} stages of unknown cost" if unknown else ""
    return (
        f"{len(expected)} stages train {trained:,} dictionaries in about {duration(seconds)} of one"
        f" core, with up to {most / 1e9:.1f} GB each and {disk / 1e9:.0f} GB on disk{also}"
    )
