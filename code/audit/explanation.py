"""Explain one printed value: what it is, what made it, and where the paper prints it."""

from collections.abc import Iterator
from dataclasses import dataclass

from audit.experiments.registry import FIGURES, command
from audit.ledger.quantities import number, printed
from audit.manuscript.compiler import text_sources
from audit.manuscript.places import places
from audit.pipeline.graph.keys import Key, portable_keys, settings_of
from audit.pipeline.graph.stage import Stage, in_order
from audit.pipeline.locking.differences import compare
from audit.pipeline.locking.locked import LockedRun
from audit.pipeline.locking.values import Printed, Values
from audit.pipeline.results import Array, Scalar
from audit.session import Session

_LISTED = 40
"""Addresses below a prefix that are listed; more would scroll the first ones away."""


def explain(session: Session, address: str) -> str:
    """The chain behind the value at an address, or the values below a prefix, as text.

    Raises:
        UserError: there is nothing at the address; near ones are named.
    """
    locked, beside = session.locked, session.beside
    if beside is not None and address in beside.locked:
        return explain(beside, address)
    if address not in locked:
        return _listed(locked | session.locked_beside, address)
    experiment, part, *_ = address.split(".")
    sections = [_Section("", [f"{address} = {_shown(locked[address])}"])]
    sections.append(_Section("locked", list(_locked(locked, address))))
    run = session.locked_runs.get(experiment)
    if run is not None:
        sections.append(_Section("run", list(_of_run(run))))
    stage = session.parts[experiment].get(part)
    if stage is not None:
        keys = portable_keys([stage], session.sources)
        sections.append(_Section("here", [_here(session, address)]))
        sections.append(_Section("measured by", list(_measured_by(stage, keys[stage.name]))))
        sections.append(_Section("from", list(_inputs(stage, keys, run))))
    sections.append(_Section("printed", _places(session, address) or ["nowhere"]))
    sections.append(_Section("judged in", _claims(session, address) or ["no claim"]))
    return "\n".join(map(str, sections))


@dataclass(frozen=True)
class _Section:
    title: str
    lines: list[str]

    def __str__(self) -> str:
        if not self.title:
            return "\n".join(self.lines)
        return "\n".join([f"{self.title}:", *(f"  {line}" for line in self.lines)])


def _listed(locked: Values, prefix: str) -> str:
    below = list(_addresses(locked.subtree(prefix), prefix))
    lines = [f"{name} = {_shown(locked[name])}" for name in below[:_LISTED]]
    if len(below) > _LISTED:
        lines.append(f"… and {len(below) - _LISTED} more below {prefix}")
    return "\n".join(lines)


def _addresses(tree: dict, prefix: str) -> Iterator[str]:
    for name, branch in tree.items():
        address = f"{prefix}.{name}" if prefix else name
        if isinstance(branch, dict):
            yield from _addresses(branch, address)
        else:
            yield address


def _shown(value: Printed) -> str:
    if isinstance(value, Scalar):
        return printed(value)
    if isinstance(value, Array):
        return f"array of {' × '.join(map(str, value.values.shape))}"
    return str(value)


def _locked(locked: Values, address: str) -> Iterator[str]:
    value = locked[address]
    if isinstance(value, Scalar):
        yield f"value {number(value.value, value.digits, value.unit)}" + (
            f", {value.interval or 'interval'} {number(value.low, value.digits)}"
            f" to {number(value.high, value.digits)}"
            if value.low is not None and value.high is not None
            else ""
        )
        yield (
            "no chance level"
            if value.chance is None
            else f"chance level {number(value.chance, value.digits, value.unit)}"
        )
    if isinstance(value, Scalar | Array):
        yield f"tolerance {value.allowed_difference:g}, set by the code that measures it"
    spread = locked.spread(address)
    if spread.abi:
        yield (
            f"seen {max(spread.value, spread.end):g} away on {spread.abi};"
            " one and a half times that is allowed"
        )


def _of_run(run: LockedRun) -> Iterator[str]:
    yield f"{run.date[:10]}, commit {run.commit}, {run.abi}"
    if run.confirmed is not None:
        yield (
            f"confirmed {run.confirmed.date[:10]}, commit {run.confirmed.commit},"
            f" {run.confirmed.abi}"
        )


def _here(session: Session, address: str) -> str:
    here = session.values_here()
    if here is None or address not in here:
        experiment = address.partition(".")[0]
        return f"not computed by this code; {command(experiment)}"
    left = compare(here.of([address]), session.locked.of([address]))
    return f"{_shown(here[address])}, " + ("outside" if left else "within") + " tolerance"


def _measured_by(stage: Stage, key: Key) -> Iterator[str]:
    yield f"{stage.function}, key {key.digest[:12]}"
    files = {name.partition(":")[0] for name in key.definitions}
    yield f"{len(key.definitions)} definitions in {len(files)} files count in its key"
    for name, setting in settings_of(stage.config):
        if not name.endswith("class"):
            yield f"{name} = {setting}"


def _inputs(stage: Stage, keys: dict[str, Key], run: LockedRun | None) -> Iterator[str]:
    costs = run.stages if run is not None else {}
    for needed in in_order([stage]):
        if needed.name == stage.name:
            continue
        cost = costs.get(needed.name)
        took = f"{cost.seconds:g} s" if cost is not None else "unknown time"
        seeds = getattr(needed.config, "seeds", None)
        of_seeds = f", seeds {' '.join(map(str, seeds))}" if seeds else ""
        key = keys[needed.name].digest[:12]
        yield f"{needed.name}: {needed.function}{of_seeds}; {took}, key {key}"


def _places(session: Session, address: str) -> list[str]:
    paper = session.root / "paper"
    return places(address, text_sources(paper), session.edition(False), paper, FIGURES)


def _claims(session: Session, address: str) -> list[str]:
    return [
        f"{each.claim.id} ({each.locked.verdict}): {each.claim.says}"
        for each in session.edition(False).claims
        if address in (*each.claim.addresses, *each.claim.twin_addresses)
    ]
