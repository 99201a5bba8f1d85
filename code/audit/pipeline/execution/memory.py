"""Memory that a run may need, against what the machine or its container has.

Known only for stages that were locked. A stage that cannot fit is said before anything runs: it
would be killed after its inputs had been computed, or slow the machine down for hours.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from audit.pipeline.graph.stage import Stage
from seedstability.errors import UserError

MEMINFO = Path("/proc/meminfo")
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Limits of the container or of the user's session, by version of control groups."""


def memory_limit(
    meminfo: Path = MEMINFO, cgroup_limits: Iterable[Path] = CGROUP_LIMITS
) -> int | None:
    """Bytes of memory that the machine has, or that its container may take; None if unknown."""
    found = [_total(meminfo), *map(_limit, cgroup_limits)]
    return min((each for each in found if each is not None), default=None)


def check_memory(
    stages: Iterable[Stage], known_bytes: Mapping[str, float], limit: int | None
) -> None:
    """Refuse a run of which a single stage needs more memory than there is.

    Args:
        stages: that would run.
        known_bytes: peak by stage, where it was locked.
        limit: as `memory_limit` gives it.

    Raises:
        UserError: a stage does not fit; the message names the one that needs most.
    """
    most = max(stages, key=lambda stage: known_bytes.get(stage.name, 0.0), default=None)
    if most is None or limit is None or known_bytes.get(most.name, 0.0) <= limit:
        return
    raise UserError(
        f"{most.name} took {known_bytes[most.name] / 1e9:.1f} GB of memory where it was locked, and"
        f" {limit / 1e9:.1f} GB are here; run it on a machine, or in a container, with more"
    )


def _total(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    total = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    return int(total) * 1024 if total else None


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
