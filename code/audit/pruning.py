"""Remove what a build folder holds and no profile needs."""

import shutil
from pathlib import Path

from audit.experiments.registry import PROFILES, parts
from audit.pipeline.graph.keys import current_sources, portable_keys
from audit.pipeline.graph.stage import in_order
from audit.pipeline.store.store import Store
from seedstability.numerics.abi import numeric_abi


def prune(root: Path, everything: bool) -> str:
    """Remove results that no profile's present code asks for; with `everything` all of build/."""
    if everything:
        shutil.rmtree(root / "build", ignore_errors=True)
        return "build/ is gone"
    keep = set()
    sources = current_sources(root / "build")
    for profile in PROFILES:
        stages = [stage for part in parts(profile).values() for stage in part.values()]
        keep |= {key.digest for key in portable_keys(in_order(stages), sources).values()}
    freed = Store(root / "build" / "store", numeric_abi()).prune(keep)
    # Activations on disk are a cache: a stage that wants them makes them again.
    shards = root / "build" / "activations"
    freed += sum(path.stat().st_size for path in shards.rglob("*") if path.is_file())
    shutil.rmtree(shards, ignore_errors=True)
    return f"{freed / 1e6:.0f} MB freed"
