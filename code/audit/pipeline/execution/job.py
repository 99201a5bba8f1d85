"""One stage, carried out: from whole inputs in the store to a whole result there.

This is the unit that travels. It needs no more than a folder that sees the same store.
"""

import importlib
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.pipeline.graph.keys import Key, roots
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import nested
from audit.pipeline.store.codec import DamagedResult
from audit.pipeline.store.provenance import Provenance, now
from audit.pipeline.store.store import Store
from seedstability.errors import UserError
from seedstability.numerics import pinning
from seedstability.numerics.abi import NumericABI


@dataclass(frozen=True)
class Job:
    """All that a process has to know to run one stage."""

    stage: str
    """The stage's name."""
    config: Any
    """Its settings."""
    key: Key
    """Its portable key, as planned."""
    store: Path
    """Folder of the store."""
    abi: NumericABI
    """Numeric ABI of the machine."""
    code: Path
    """Folder that holds the packages."""
    packages: tuple[str, ...]
    """Names of the packages whose code counts."""
    source_hashes: Mapping[str, str]
    """Source file → hash of its bytes when the key was made."""
    commit: str
    """Source commit, for the provenance."""
    log: Path
    """Where all goes that the stage prints; left there only if it fails."""
    threads: int = 1
    """Threads for torch and BLAS."""


def perform(job: Job, waiting: Callable[[], None] | None = None) -> dict[str, Any]:
    """Run the stage unless another process has done it meanwhile.

    Args:
        job: what to do.
        waiting: called once if another process computes it.

    Returns:
        `kind`: `done` or `found`; when done also `seconds` and `peak_bytes`.

    Raises:
        UserError: the code was edited meanwhile, an input is damaged, or the disk is full.
    """
    store = Store(job.store, job.abi)
    with store.lock(job.key.digest, waiting):
        if _is_whole(store, job.key.digest):
            return {"kind": "found"}
        _refuse_edited_code(job)
        started = time.perf_counter()
        tree = _call(job, _inputs(job, store))
        seconds = time.perf_counter() - started
        _refuse_edited_code(job)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        provenance = Provenance(
            job.stage, round(seconds, 3), peak, now(), job.commit, job.threads, job.abi
        )
        store.write(job.key, tree, provenance)
        return {"kind": "done", "seconds": seconds, "peak_bytes": peak}


def _is_whole(store: Store, key: str) -> bool:
    try:
        store.check(key)
    except (FileNotFoundError, DamagedResult):
        return False
    return True


def _inputs(job: Job, store: Store) -> dict[str, Any]:
    try:
        return nested({address: store.load(key) for address, key in job.key.inputs.items()})
    except (FileNotFoundError, DamagedResult) as error:
        raise UserError(
            f"an input of {job.stage} was lost while the run was on ({error}); run it again"
        ) from None


def _call(job: Job, inputs: Mapping[str, Any]) -> Mapping:
    module, _, name = job.key.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    if "torch" in sys.modules:
        pinning.fix_after_torch(job.threads)
    return function(job.config, **inputs)


def _refuse_edited_code(job: Job) -> None:
    sources = Sources(job.code, job.packages)
    # Parsing is slow beside a quick stage, and needed only to tell an edited comment from code.
    if sources.untouched(job.source_hashes):
        return
    found = sources.closure(roots(job.key.function, job.config)).definitions
    planned = job.key.definitions
    edited = sorted(name for name in found.keys() | planned if found.get(name) != planned.get(name))
    if edited:
        raise UserError(
            f"{edited[0]} was edited while {job.stage} ran, so its result is thrown away; run again"
        )
