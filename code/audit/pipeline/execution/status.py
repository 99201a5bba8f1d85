"""What is up to date, what is not, why, and what it costs to put right."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from audit.pipeline.execution.run import Plan, plan
from audit.pipeline.graph.keys import Key
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order
from audit.pipeline.store.history import History
from audit.pipeline.store.store import Store

State = Literal["up to date", "stale", "not needed"]


@dataclass(frozen=True)
class StageStatus:
    """One stage of a graph."""

    stage: str
    """Its name."""
    state: State
    """`not needed`: its own result is gone, but all that was made of it is there."""
    reasons: tuple[str, ...] = ()
    """Why it is stale."""
    seconds: float | None = None
    """What a rerun takes by experience; nothing where there is none, or none is due."""


def as_text(found: Iterable[StageStatus]) -> str:
    """Stale stages with reasons and costs, then one line for all."""
    found = list(found)
    stale = [each for each in found if each.state == "stale"]
    lines = []
    for each in stale:
        cost = "" if each.seconds is None else f", {each.seconds:.0f} s"
        lines.append(f"{each.stage}{cost}: {'; '.join(each.reasons)}")
    known = sum(each.seconds or 0.0 for each in stale)
    lines.append(
        f"{len(found) - len(stale)} of {len(found)} stages are up to date;"
        f" the rest costs {known:.0f} s on one core, as far as known"
    )
    return "\n".join(lines)


def status(
    stages: Iterable[Stage],
    store: Store,
    known_seconds: Mapping[str, float] | None = None,
    sources: Sources | None = None,
) -> list[StageStatus]:
    """The state of each stage of a graph, inputs first.

    Args:
        stages: the ends of the graph.
        store: where results are.
        known_seconds: wall time by stage, for those the store has never seen.
        sources: the code; left out, the package as it is on disk.

    Raises:
        UserError: as `portable_keys`.
    """
    stages = list(stages)
    planned = plan(stages, store, sources)
    due = {planned.keys[stage.name].digest for stage in planned.missing}
    history = History(store, known_seconds) if due else None
    found = []
    for stage in in_order(stages):
        key = planned.keys[stage.name]
        if history is not None and key.digest in due:
            reasons = tuple(_reasons(stage, planned, store, history, due))
            found.append(StageStatus(stage.name, "stale", reasons, history.seconds(stage, key)))
        else:
            state: State = "up to date" if store.has(key.digest) else "not needed"
            found.append(StageStatus(stage.name, state))
    return found


def _reasons(
    stage: Stage, planned: Plan, store: Store, history: History, due: set[str]
) -> Iterator[str]:
    key = planned.keys[stage.name]
    if key.digest in planned.damaged:
        yield planned.damaged[key.digest]
        return
    for entry in store.elsewhere(key.digest):
        yield f"computed on another machine only ({entry.provenance.abi})"
    earlier = history.nearest(stage.name, key)
    if earlier is None:
        yield "never run"
    elif earlier.key.digest == key.digest:
        return
    else:
        yield from changes(earlier.key, key)
        yield from _changed_inputs(stage, planned, earlier.key, due)


def changes(old: Key, new: Key) -> Iterator[str]:
    """What differs between two keys besides their inputs, one line each."""
    if old.function != new.function:
        yield f"function: {old.function} → {new.function}"
    yield from _changed("setting ", old.settings, new.settings)
    yield from _changed("", old.packages, new.packages)
    for name in sorted(old.definitions.keys() | new.definitions.keys()):
        shown = f"{name[:-1]}, what runs at import," if name.endswith(":") else name
        if name not in new.definitions:
            yield f"{shown} is not used any more"
        elif name not in old.definitions:
            yield f"{shown} is used now"
        elif old.definitions[name] != new.definitions[name]:
            yield f"{shown} changed"


def _changed(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, "none"), new.get(name, "none")
        if before != after:
            yield f"{kind}{name}: {before} → {after}"


def _changed_inputs(stage: Stage, planned: Plan, old: Key, due: set[str]) -> Iterator[str]:
    for argument, needed in stage.needed.items():
        digest = planned.keys[needed.name].digest
        if digest == old.inputs.get(argument):
            continue
        if digest in due:
            yield f"input {needed.name} is stale"
        else:
            yield f"input {needed.name} is another than before"
    for argument in old.inputs.keys() - stage.needed.keys():
        yield f"input {argument} is not used any more"
