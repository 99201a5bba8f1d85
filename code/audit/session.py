"""What the tasks do, without a command line: one profile's stages, store, locked values and paper.

Together with `tasks.py` the only place that knows pipeline, experiments, ledger and manuscript.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from audit.experiments.registry import FIGURES, parts, printed
from audit.ledger.claims import Claim
from audit.ledger.loading import load_claims, select
from audit.ledger.verify import Verified, parts_needed, verify
from audit.pipeline.execution.recheck import draw, recheck
from audit.pipeline.execution.run import Results, plan, run
from audit.pipeline.execution.status import as_text, status
from audit.pipeline.graph.keys import Key, current_sources, package_versions, portable_keys
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order
from audit.pipeline.locking.differences import MismatchReport, compare
from audit.pipeline.locking.keeping import Kept, keepable
from audit.pipeline.locking.locked import (
    Confirmation,
    Cost,
    LockedRun,
    read_runs,
    read_values,
    write,
    write_spreads,
)
from audit.pipeline.locking.values import Values
from audit.pipeline.store.provenance import now
from audit.pipeline.store.store import Store
from seedstability.errors import UserError
from seedstability.files import write_whole
from seedstability.numerics.abi import NumericABI, graphics_card, numeric_abi

if TYPE_CHECKING:
    from audit.manuscript.edition import Edition


_BESIDE = {"paper": "long", "long": "paper"}
"""The two profiles that the paper prints, each with the other."""


class Session:
    """One profile on this machine."""

    def __init__(
        self,
        root: Path,
        profile: str,
        device: str = "cpu",
        only: Iterable[str] = (),
        sources: Sources | None = None,
    ):
        """Plan the profile's graph; runs and writes nothing.

        Args:
            root: the checkout.
            profile: one of `registry.PROFILES`.
            device: `cpu` or `cuda`.
            only: names of experiments; all if empty.
            sources: the code, where another session has read it; left out, as it is on disk.

        Raises:
            UserError: for a profile, experiment or device that is not there.
        """
        self.root = root
        self.profile = profile
        self.parts = parts(profile, only)
        if device not in ("cpu", "cuda"):
            raise UserError(f"device is {device!r}; it must be cpu or cuda")
        if device == "cuda" and not graphics_card():
            raise UserError("device is 'cuda', but no NVIDIA card and driver are here; take cpu")
        self.device = device
        self._sources = sources
        # Made when first asked for, and anew after a run.
        self._results: Results | None = None
        self._new_values: Values | None = None
        self._editions: dict[bool, Edition] = {}
        self.locked_folder = root / "data" / "locked" / profile
        self.build = root / "build" if profile in _BESIDE else root / "build" / profile

    @cached_property
    def abi(self) -> NumericABI:
        """This machine's, on the chosen device."""
        return numeric_abi(self.device)

    @cached_property
    def store(self) -> Store:
        """Results of all profiles."""
        return Store(self.root / "build" / "store", self.abi)

    @cached_property
    def beside(self) -> "Session | None":
        """The other profile that the paper prints; None for profiles that print themselves only.

        `long` is locked once and rerun when asked, so that `paper` prints it as locked.
        """
        other = _BESIDE.get(self.profile)
        if other is None or not (self.root / "data" / "locked" / other).is_dir():
            return None
        return Session(self.root, other, self.device, sources=self.sources)

    @property
    def locked_beside(self) -> Values:
        """The locked values of `beside`; empty without one."""
        return self.beside.locked if self.beside is not None else Values({})

    def stale_beside(self) -> str | None:
        """One line where locked values of `beside` are of other code than this, and what to do."""
        foreign = self.beside.foreign() if self.beside is not None else []
        if self.beside is None or not foreign:
            return None
        other = self.beside.profile
        return (
            f"{len(foreign)} parts of profile {other} are locked with other code, first"
            f" {foreign[0]}; `invoke paper --profile {other}` reruns them"
        )

    @cached_property
    def sources(self) -> Sources:
        """The code as it was when it was first asked for; each file is parsed at most once."""
        return self._sources or current_sources(self.root / "build")

    @property
    def stages(self) -> list[Stage]:
        """The ends of the graph."""
        return [stage for part in self.parts.values() for stage in part.values()]

    @cached_property
    def locked(self) -> Values:
        """The locked values of the experiments in hand."""
        return read_values(self.locked_folder, self.parts)

    @cached_property
    def locked_runs(self) -> dict[str, LockedRun]:
        """The runs behind them; empty where nothing was ever locked."""
        if not (self.locked_folder / "provenance.json").exists():
            return {}
        return {n: r for n, r in read_runs(self.locked_folder).items() if n in self.parts}

    @property
    def known_seconds(self) -> dict[str, float]:
        """Wall time of each stage in the locked run."""
        return {name: cost.seconds for name, cost in self._costs().items()}

    def run(self, jobs: int | None = None) -> Results:
        """Run what is not in the store."""
        self._results = self._run(self.stages, self.store, jobs)
        self._new_values = None
        self._editions.clear()
        return self._results

    def _run(self, stages: Iterable[Stage], store: Store, jobs: int | None) -> Results:
        return run(
            stages,
            store,
            jobs=jobs,
            known_seconds=self.known_seconds,
            known_bytes={name: 1e6 * cost.megabytes for name, cost in self._costs().items()},
            sources=self.sources,
        )

    @property
    def results(self) -> Results:
        """What the store holds of the graph's ends.

        Raises:
            UserError: when something of it has not been run.
        """
        if self._results is None:
            self._results = self._stored()
        return self._results

    def _stored(self) -> Results:
        planned = plan(self.stages, self.store, self.sources)
        if planned.missing:
            raise UserError(
                f"{len(planned.missing)} stages have no result here, first"
                f" {planned.missing[0].name}; `invoke experiments` runs them"
            )
        return Results(self.store, planned.keys, ())

    def new_values(self) -> Values:
        """The computed values, rounded as printed."""
        if self._new_values is None:
            self._new_values = Values.from_tree(
                {
                    experiment: {part: self.results[stage.name] for part, stage in stages.items()}
                    | printed(self.profile, experiment)
                    for experiment, stages in self.parts.items()
                }
            )
        return self._new_values

    def compare(self) -> MismatchReport | None:
        """Computed against locked values and keys; nothing where all is as locked."""
        foreign = self.foreign()
        differences = compare(self.new_values(), self._locked_so_far())
        if not (foreign or differences):
            return None
        return MismatchReport(tuple(differences), tuple(foreign), self.profile)

    def foreign(self) -> list[str]:
        """Parts whose locked values are of other code than this."""
        keys = portable_keys(self.stages, self.sources)
        return [
            f"{experiment}.{part}"
            for experiment, stages in self.parts.items()
            for part, stage in stages.items()
            if self._locked_key(experiment, part) != keys[stage.name].digest
        ]

    def _locked_so_far(self) -> Values:
        """As `locked`, but without experiments that are new and were never locked."""
        there = [name for name in self.parts if (self.locked_folder / f"{name}.json").exists()]
        if len(there) == len(self.parts):
            return self.locked
        return read_values(self.locked_folder, there) if there else Values({})

    def _locked_key(self, experiment: str, part: str) -> str | None:
        locked_run = self.locked_runs.get(experiment)
        return locked_run.keys.get(part) if locked_run else None

    def lock(self, agreed: Callable[[int], bool], keep_values: bool = False) -> None:
        """Show what would change in the locked files, and write it if `agreed` says so.

        Args:
            agreed: asked with the number of changes.
            keep_values: leave the values of an experiment as they are where this run confirms
                them, and record the keys of this code and that run; on another numeric ABI also
                how far values lie outside their tolerance. For code that was moved or renamed.
        """
        new, locked = self.new_values(), self._locked_or_nothing()
        runs = self.locked_runs if keep_values else {}
        kept = keepable(new, locked, {n: r for n, r in runs.items() if n in self.parts}, self.abi)
        wanted = Values(
            {a: (locked if a.partition(".")[0] in kept.experiments else new)[a] for a in new}
        )
        changes = compare(wanted, locked, exactly=True)
        for change in changes:
            print(change)
        for difference in kept.differences:
            print(f"{difference}; kept, and recorded as seen between numeric ABIs")
        count = len(changes) + len(kept.spreads)
        if count and not agreed(count):
            raise UserError("nothing was written")
        self._write_locked(wanted, kept)
        print(f"{len(new)} values of profile {self.profile} are locked, {len(changes)} changed")

    def _write_locked(self, wanted: Values, kept: Kept) -> None:
        keys = self.results.keys_by_stage
        for experiment, stages in self.parts.items():
            mine = {a: wanted[a] for a in wanted if a.startswith(f"{experiment}.")}
            run = self._run_of(stages, keys)
            if experiment in kept.experiments:
                run = self._kept_run(experiment, run)
            write(self.locked_folder, experiment, Values(mine), run)
        if kept.spreads:
            write_spreads(self.locked_folder, kept.spreads)
        if self.profile == "paper" and "chance" in self.parts:
            self._picture()

    def _locked_or_nothing(self) -> Values:
        try:
            return self._locked_so_far()
        except UserError:
            return Values({})

    def _kept_run(self, experiment: str, confirming: LockedRun) -> LockedRun:
        """The run that gave the values, with the keys of the code that confirmed them."""
        confirmation = Confirmation(confirming.date, confirming.commit, confirming.abi)
        return replace(self.locked_runs[experiment], keys=confirming.keys, confirmed=confirmation)

    def _picture(self) -> None:
        """The README's picture: the main figure, from the values just locked."""
        from audit.manuscript.figures import render

        main = next(figure for figure in FIGURES if figure.name == "headline")
        folder, values = self.build / "picture", read_values(self.locked_folder)
        drawn = render(main, values, folder, self.sources, "png")
        write_whole(self.root / "paper" / "headline.png", drawn.read_bytes())

    def _run_of(self, stages: Mapping[str, Stage], keys: Mapping[str, Key]) -> LockedRun:
        spent = {
            stage.name: self.results.provenance(stage.name)
            for stage in in_order(stages.values())
            if self.store.has(keys[stage.name].digest)
        }
        return LockedRun(
            date=now(),
            commit=sorted(spent.values(), key=lambda run: run.date)[-1].commit,
            abi=self.abi,
            keys={part: keys[stage.name].digest for part, stage in stages.items()},
            packages=package_versions(),
            stages={
                name: Cost(round(run.seconds, 1), round(run.peak_bytes / 1e6))
                for name, run in spent.items()
            },
        )

    def dry_run(self) -> str:
        """What would run, in its order, with what each stage may take. Runs nothing."""
        from audit.pipeline.execution.forecast import Expected, forecast

        def rough(stage: Stage) -> Expected | None:
            # Brings torch with it, so only where something would run.
            from audit.experiments.common.estimates import estimate

            return estimate(stage)

        known = {
            name: Expected(cost.seconds, 1e6 * cost.megabytes)
            for name, cost in self._costs().items()
        }
        return forecast(self.stages, self.store, known, rough, self.sources)

    def status(self) -> str:
        """Stale stages with reasons and costs, then one line for all."""
        return as_text(status(self.stages, self.store, self.known_seconds, self.sources))

    def graph(self, dot: bool) -> str:
        """The graph as text, or for Graphviz."""
        from audit.pipeline.graph import drawing

        return drawing.as_dot(self.stages) if dot else drawing.as_text(self.stages)

    def verify(self, ids: str = "") -> list[Verified]:
        """Judge claims on the locked values, and on this machine's where the store has them."""
        claims = select(load_claims(), ids.replace(",", " ").split())
        return self._judged(self._printed_here(), claims)

    def _printed_here(self) -> Values | None:
        """As `values_here`, with the values of `beside` as the store has them, or as locked."""
        here = self.values_here()
        if self.beside is None:
            return here
        there = self.beside.values_here()
        if here is None and there is None:
            return None
        return self.locked_beside | (there or Values({})) | (here or Values({}))

    def verify_anew(self, ids: str, scratch: Path, jobs: int | None = None) -> list[Verified]:
        """Run what claims need in a store of its own, and judge that."""
        claims = select(load_claims(), ids.replace(",", " ").split())
        needed = sorted({address for claim in claims for address in parts_needed(claim)})
        wanted = {
            (e, part): self.parts[e][part] for e, part in needed if part in self.parts.get(e, {})
        }
        self._state_cost(claims, wanted.values())
        store = Store(scratch / "store", self.abi)
        results = self._run(wanted.values(), store, jobs)
        tree = {e: printed(self.profile, e) for e, _ in needed if e in self.parts}
        for (experiment, part), stage in wanted.items():
            tree[experiment][part] = results[stage.name]
        return self._judged(self.locked_beside | Values.from_tree(tree), claims)

    def _judged(self, here: Values | None, claims: Iterable[Claim]) -> list[Verified]:
        locked = self.locked | self.locked_beside

        @cache
        def left() -> frozenset[str]:
            found = compare(here, locked) if here is not None else []
            return frozenset(difference.address for difference in found)

        def agree(addresses: Iterable[str]) -> bool:
            return left().isdisjoint(addresses)

        return verify(locked, here, claims, self._costs(), agree)

    def recheck(
        self, number: int, seed: int, scratch: Path, jobs: int | None = None
    ) -> dict[str, bool]:
        """Run stages drawn from the store again; for each, whether every bit came out again."""
        drawn = draw(self.stages, self.store, number, seed, self.sources)
        seconds = sum(self.known_seconds.get(stage.name, 0.0) for stage in drawn)
        print(
            f"seed {seed}: {len(drawn)} stages, about {seconds:.0f} s on one core", file=sys.stderr
        )
        store = Store(scratch / "store", self.abi)
        return recheck(drawn, self.store, store, jobs, self.known_seconds, self.sources)

    def _state_cost(self, claims: list[Claim], wanted: Iterable[Stage]) -> None:
        stages = in_order(wanted)
        seconds = sum(self.known_seconds.get(stage.name, 0.0) for stage in stages)
        names = ", ".join(claim.id for claim in claims)
        print(f"{names}: {len(stages)} stages, about {seconds:.0f} s on one core", file=sys.stderr)
        needed = {a for claim in claims for a in (*claim.addresses, *claim.twin_addresses)}
        if self.beside is not None and any(address in self.locked_beside for address in needed):
            other = self.beside.profile
            print(f"what is of profile {other} stays as locked; --profile {other}", file=sys.stderr)

    def values_here(self) -> Values | None:
        """The parts that the store has, for the code as it is now; None if it has none."""
        keys = portable_keys(self.stages, self.sources)
        there = {
            experiment: {
                part: self.store.load(keys[stage.name].digest)
                for part, stage in stages.items()
                if self._is_whole(keys[stage.name])
            }
            for experiment, stages in self.parts.items()
        }
        tree = {e: found | printed(self.profile, e) for e, found in there.items() if found}
        return Values.from_tree(tree) if tree else None

    def _is_whole(self, key: Key) -> bool:
        return self.store.has(key.digest) and not self.store.damaged({key.digest})

    def _costs(self) -> dict[str, Cost]:
        runs = self.locked_runs.values()
        return {name: cost for each in runs for name, cost in each.stages.items()}

    def edition(self, draft: bool) -> "Edition":
        """What the paper is rendered from: locked values, or with `draft` the computed ones.

        Made once, and with it every claim judged.
        """
        if draft not in self._editions:
            self._editions[draft] = self._new_edition(draft)
        return self._editions[draft]

    def _new_edition(self, draft: bool) -> "Edition":
        if draft:
            dated = self.locked_runs or {
                name: self._run_of(stages, self.results.keys_by_stage)
                for name, stages in self.parts.items()
            }
            return self._edition_of(self.new_values(), dated, draft=True)
        return self._edition_of(self.locked, self.locked_runs, draft=False)

    def _edition_of(self, values: Values, runs: Mapping[str, LockedRun], draft: bool) -> "Edition":
        """The edition of these values of this profile, beside the locked ones of the other."""
        from audit.manuscript.sources import edition_of

        beside = self.beside
        if beside is None:
            return edition_of(values, runs, self.profile, draft=draft)
        printed_values = values | beside.locked
        paper, long = runs, beside.locked_runs
        if self.profile == "long":
            paper, long = long, paper
        return edition_of(printed_values, paper, "paper", draft=draft, long_runs=long)

    def tables(self, draft: bool = False) -> None:
        """Render the tables."""
        from audit.manuscript.tables import render, templates

        edition = self.edition(draft)
        folder = self.build / "paper" / "tables"
        folder.mkdir(parents=True, exist_ok=True)
        for template in templates(self.root / "paper"):
            name = template.name.removesuffix(".j2")
            text = render(template, edition, f"paper/tables/{template.name}")
            target = folder / name
            if not (target.is_file() and target.read_text("utf-8") == text):
                target.write_text(text, "utf-8")

    def figures(self, draft: bool = False) -> None:
        """Draw the figures whose values or code changed."""
        from audit.manuscript.figures import render

        edition = self.edition(draft)
        folder = self.build / "paper" / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for figure in FIGURES:
            render(figure, edition.values, folder, self.sources)

    def paper(self, draft: bool = False) -> list[Path]:
        """Render the PDFs, or find that they are those that would come out."""
        from audit.manuscript.compiler import build_paper

        return build_paper(
            self.edition(draft), self.root / "paper", self.build, sources=self.sources
        )
