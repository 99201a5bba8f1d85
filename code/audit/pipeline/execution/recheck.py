"""Run stages whose results are stored once more, and compare the bits: the store is not trusted."""

import os
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence

from audit.pipeline.execution.run import plan, run
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order
from audit.pipeline.store.store import Store
from seedstability.errors import UserError


def draw(
    stages: Iterable[Stage], store: Store, number: int, seed: int, sources: Sources | None = None
) -> list[Stage]:
    """Draw stages of a graph whose results are in the store, all if there are not as many.

    Args:
        stages: the ends of the graph.
        store: where results are.
        number: of stages.
        seed: of the draw.
        sources: the code; left out, the package as it is on disk.

    Raises:
        UserError: the store has none of this code.
    """
    graph = in_order(stages)
    missing = {stage.name for stage in plan(graph, store, sources).missing}
    there = sorted((stage for stage in graph if stage.name not in missing), key=_name)
    if not there:
        raise UserError("the store has no result of this code to check; invoke experiments first")
    return random.Random(seed).sample(there, min(number, len(there)))


def recheck(
    drawn: Sequence[Stage],
    store: Store,
    scratch: Store,
    jobs: int | None = None,
    known_seconds: Mapping[str, float] | None = None,
    sources: Sources | None = None,
) -> dict[str, bool]:
    """Run stages again in a scratch store that has only the results that they start from.

    Args:
        drawn: stages whose results are in `store`.
        store: where these and their inputs' results are.
        scratch: an empty store of the same numeric ABI.
        jobs, known_seconds, sources: as `run` takes them.

    Returns:
        For each stage whether every bit came out again.

    Raises:
        UserError: as `run`.
    """
    keys = plan(drawn, store, sources).keys
    own = {keys[stage.name].digest for stage in drawn}
    needed = {keys[each.name].digest for stage in drawn for each in stage.needed.values()}
    scratch.prepare()
    for digest in needed - own:
        _share(store, scratch, digest)
    results = run(drawn, scratch, jobs=jobs, known_seconds=known_seconds, sources=sources)
    return {
        stage.name: results.content(stage.name) == store.entry(keys[stage.name].digest).content
        for stage in drawn
    }


def _share(store: Store, scratch: Store, digest: str) -> None:
    here, there = store.path(digest), scratch.path(digest)
    try:
        os.link(here, there)
    except OSError:  # another file system
        shutil.copyfile(here, there)


def _name(stage: Stage) -> str:
    return stage.name
