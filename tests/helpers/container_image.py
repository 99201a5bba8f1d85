"""The image and containers of it, run as a reader would run them."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from helpers.container_engine import Engine

TAG = "seedstability:test"
STRANGER = 1234


@dataclass(frozen=True)
class Image:
    """The built image, its sources, and what building it said."""

    engine: Engine
    context: Path
    log: str

    def run(
        self, *words: str, mount: Path | None = None, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run it without network, on a read-only root, as a user it has never heard of."""
        mounted = ("-v", f"{mount}:/repo/build") if mount else ()
        return self.engine.docker(
            *("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--user", "{}:{}".format(*caller()), *mounted, *options, TAG, *words),
            timeout=1800,
        )


def caller() -> tuple[int, int]:
    """A user who is not root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (STRANGER, STRANGER)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
