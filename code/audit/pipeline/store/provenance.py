"""Where a result comes from: who computed it, when, from which commit, at what cost.

None of this enters a result or a key.
"""

import os
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from audit.folders import ROOT
from seedstability.numerics.abi import NumericABI


@dataclass(frozen=True)
class Provenance:
    """One run of one stage."""

    stage: str
    """Name of the stage as it was when it ran."""
    seconds: float
    """Wall time, without waiting for a turn or a lock."""
    peak_bytes: int
    """Largest resident memory of its process, shared libraries included."""
    date: str
    """When it ended, in UTC, as ISO 8601."""
    commit: str
    """Source commit, `unknown` where there is none; `+` at its end: with uncommitted changes."""
    threads: int
    """Threads it was given; they change no bit."""
    abi: NumericABI
    """The machine, as far as bits go."""

    def plain(self) -> dict:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Provenance":
        """The inverse of `plain`."""
        return cls(**{**plain, "abi": NumericABI(**plain["abi"])})


def now() -> str:
    """The present in UTC, to the millisecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def source_commit() -> str:
    """The commit of this code: from git where there is a repository, else from SOURCE_COMMIT."""
    repository = ROOT
    if (repository / ".git").exists():
        commit = _git(repository, "rev-parse", "HEAD")
        if commit:
            changed = _git(repository, "status", "--porcelain", "--untracked-files=no")
            return commit + ("+" if changed else "")
    return os.environ.get("SOURCE_COMMIT") or "unknown"


def _git(repository: Path, *words: str) -> str:
    """What git prints, or nothing where it is missing or refuses.

    Of the environment, as in a hook or a shell set up for another repository, git's configuration
    counts alone: GIT_DIR and its like would lead elsewhere.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_")
    }
    command = ["git", "-C", str(repository), *words]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return ran.stdout.strip()
