"""Commands as users type them, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.repository import ROOT


def run(
    words: Sequence[str], cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command without standard input, with more in its environment."""
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def invoke(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a task."""
    return run([sys.executable, "-m", "invoke", *words], cwd, **environment)
