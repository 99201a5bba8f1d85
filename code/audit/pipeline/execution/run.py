"""Run what is not in the store, in the order its inputs demand, several stages at once."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audit.pipeline.execution.display import Display, suited_display
from audit.pipeline.execution.job import Job
from audit.pipeline.execution.memory import check_memory, memory_limit
from audit.pipeline.graph.keys import Key, current_sources, portable_keys, roots
from audit.pipeline.graph.schedule import critical_path_lengths
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order
from audit.pipeline.store.history import History
from audit.pipeline.store.provenance import Provenance, source_commit
from audit.pipeline.store.store import Store
from seedstability.errors import UserError
from seedstability.terminal import duration


class StageFailed(Exception):
    """A stage raised something that is no user's mistake; the message holds its traceback."""


class Results(Mapping[str, dict]):
    """The results of a graph by stage name, read from the store when asked for."""

    def __init__(self, store: Store, keys: Mapping[str, Key], ran: Iterable[str]):
        """Results with these keys, of which `ran` names those that had to be computed."""
        self.store = store
        self.keys_by_stage = dict(keys)
        self.ran = tuple(ran)

    def __getitem__(self, stage: str) -> dict:
        return self.store.load(self.keys_by_stage[stage].digest)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_by_stage)

    def __len__(self) -> int:
        return len(self.keys_by_stage)

    def provenance(self, stage: str) -> Provenance:
        """The run that made a stage's result."""
        return self.store.entry(self.keys_by_stage[stage].digest).provenance

    def content(self, stage: str) -> str:
        """Hash of a stage's result: the same for two runs if and only if every bit is."""
        return self.store.entry(self.keys_by_stage[stage].digest).content


@dataclass(frozen=True)
class Plan:
    """What has to run."""

    keys: Mapping[str, Key]
    """Portable key of every stage in the graph."""
    missing: tuple[Stage, ...]
    """Stages to run, each after its inputs, no key twice."""
    damaged: Mapping[str, str]
    """Key's digest → what is wrong with its file, for results that are there but not whole."""


def plan(stages: Iterable[Stage], store: Store, sources: Sources | None = None) -> Plan:
    """Find out what would run. Reads only; a result that nothing needs any more may be missing."""
    stages = list(stages)
    graph = in_order(stages)
    keys = portable_keys(graph, sources)
    damaged = store.damaged({key.digest for key in keys.values()})
    missing: dict[str, Stage] = {}

    def need(stage: Stage) -> None:
        digest = keys[stage.name].digest
        if digest in missing or (store.has(digest) and digest not in damaged):
            return
        for needed in stage.needed.values():
            need(needed)
        missing[digest] = stage

    for stage in graph:
        if stage in stages or keys[stage.name].digest in damaged:
            need(stage)
    return Plan(keys, tuple(missing.values()), damaged)


def run(
    stages: Iterable[Stage],
    store: Store,
    *,
    jobs: int | None = None,
    threads: int = 1,
    display: Display | None = None,
    known_seconds: Mapping[str, float] | None = None,
    known_bytes: Mapping[str, float] | None = None,
    sources: Sources | None = None,
) -> Results:
    """Run every stage whose result is wanted and not there.

    Args:
        stages: the ends of the graph; what they need runs too, if it has to.
        store: where results are and go, with the numeric ABI (and so the device) of this machine.
        jobs: stages at a time; left out, one for each core that `threads` leave.
        threads: threads for each; they change no bit.
        display: left out, bars on a terminal and lines elsewhere.
        known_seconds: wall time by stage, for those the store has never seen.
        known_bytes: peak of memory by stage, where it is known.
        sources: the code; left out, the package as it is on disk.

    Raises:
        UserError: a stage does not fit into memory, the store cannot be written, a stage found a
            user's mistake, or code was edited under a running stage.
        StageFailed: a stage raised anything else, or its process was killed.
        SystemExit: 130, after Ctrl-C.
    """
    sources = sources or current_sources()
    planned = plan(stages, store, sources)
    names = [stage.name for stage in planned.missing]
    if planned.missing:
        check_memory(planned.missing, known_bytes or {}, memory_limit())
        store.prepare()
        history = History(store, known_seconds)
        costs = history.expected_seconds(planned.missing, planned.keys)
        cores = len(os.sched_getaffinity(0))
        _Execution(
            planned,
            store,
            sources,
            jobs=jobs or max(1, cores // threads),
            threads=threads,
            display=display or suited_display(),
            costs=costs,
        ).run()
    return Results(store, planned.keys, names)


@dataclass
class _Execution:
    """The run of one plan."""

    plan: Plan
    store: Store
    sources: Sources
    jobs: int
    threads: int
    display: Display
    costs: Mapping[str, float]
    waiting: dict[str, Stage] = field(default_factory=dict)
    """Key's digest → stage that has not begun."""
    running: dict[str, Stage] = field(default_factory=dict)
    """Key's digest → stage at work."""
    path_lengths: dict[str, float] = field(default_factory=dict)
    """Key's digest → seconds from its stage's beginning to the end of what waits for it."""
    shares: dict[str, float] = field(default_factory=dict)
    """Stage → how far it is, in [0, 1]."""
    began: dict[str, float] = field(default_factory=dict)
    """Stage → when it began, on the monotonic clock."""

    def run(self) -> None:
        """Until nothing is left, or something fails."""
        # Imported here, because it brings the machinery for processes with it.
        from audit.pipeline.execution.workers import Workers

        self.waiting = {self._digest(stage): stage for stage in self.plan.missing}
        self.path_lengths = critical_path_lengths(self.plan.missing, self.plan.keys, self.costs)
        for reason in self.plan.damaged.values():
            self.display.note(f"{reason}; it is computed again")
        self.display.begin(len(self.waiting))
        try:
            device = self.store.abi.device.partition(" ")[0]
            build = self.store.root.parent
            shards = build / "activations" / self.store.abi.digest
            with Workers(self.threads, device, build / "kernels", shards) as workers:
                while self.waiting or self.running:
                    for stage in self._next():
                        self._start(stage, workers)
                    event = workers.event(timeout=1.0)
                    if event is not None:
                        self._handle(event)
                    self.display.left(self._seconds_left())
        except KeyboardInterrupt:
            self.display.end()
            self.display.note(
                "stopped; what was finished is kept, and the next run goes on from it"
            )
            raise SystemExit(130) from None
        finally:
            self.display.end()

    def _next(self) -> list[Stage]:
        """Stages that may begin now: the longest critical path first."""
        ready = [stage for stage in self.waiting.values() if not self._blocked(stage)]
        ready.sort(key=lambda stage: self.path_lengths[self._digest(stage)], reverse=True)
        return ready[: self.jobs - len(self.running)]

    def _blocked(self, stage: Stage) -> bool:
        needed = {self._digest(needed) for needed in stage.needed.values()}
        return bool(needed & (self.waiting.keys() | self.running.keys()))

    def _start(self, stage: Stage, workers) -> None:
        digest, code = self._digest(stage), roots(stage.function, stage.config)
        self.running[digest] = self.waiting.pop(digest)
        self.began[stage.name] = time.monotonic()
        self.display.started(stage.name)
        job = Job(
            stage=stage.name,
            config=stage.config,
            key=self.plan.keys[stage.name],
            store=self.store.root.absolute(),
            abi=self.store.abi,
            code=self.sources.code,
            packages=self.sources.packages,
            source_hashes=self.sources.source_hashes(code),
            commit=source_commit(),
            log=self._log(digest),
            threads=self.threads,
        )
        workers.start(job, self.sources.outside_imports(code))

    def _handle(self, event: dict) -> None:
        stage = self.running[event["key"]]
        if event["kind"] == "progress":
            self.shares[stage.name] = event["share"]
            self.display.progressed(stage.name, event["share"])
        elif event["kind"] == "waiting":
            self.display.note(f"{stage.name}: another run computes it; waiting for its result")
        elif event["kind"] in ("done", "found"):
            del self.running[event["key"]]
            # Before the line that shows it, which may be the first thing that any stage tells.
            self.display.left(self._seconds_left())
            self.display.finished(stage.name, _told(event))
        else:
            self._fail(stage, event)

    def _fail(self, stage: Stage, event: dict) -> None:
        if event["kind"] == "died":
            log = self._log(event["key"])
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise StageFailed(
                f"stage {stage.name}: its process {event['text']}"
                f" (SIGKILL: usually out of memory)\n{said}"
            )
        if event["mistake"]:
            raise UserError(f"stage {stage.name}: {event['text']}")
        raise StageFailed(f"stage {stage.name} failed:\n{event['text']}")

    def _seconds_left(self) -> float:
        """Estimate the time left: remaining work over the workers, at least its longest part."""
        now = time.monotonic()
        left = [self.costs[stage.name] for stage in self.waiting.values()]
        for stage in self.running.values():
            spent, share = now - self.began[stage.name], self.shares.get(stage.name, 0.0)
            total = spent / share if share > 0.05 else max(self.costs[stage.name], spent)
            left.append(total - spent)
        return max(sum(left) / self.jobs, max(left, default=0.0))

    def _digest(self, stage: Stage) -> str:
        return self.plan.keys[stage.name].digest

    def _log(self, digest: str) -> Path:
        return self.store.root.absolute() / f"{digest}.{os.getpid()}.log"


def _told(event: dict) -> str:
    if event["kind"] == "found":
        return "found, another run has made it"
    return f"{duration(event['seconds'])}, {event['peak_bytes'] / 1e6:.0f} MB"
