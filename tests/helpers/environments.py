"""Python environments beside the repository's own, each made from a lock, once."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import ROOT

SECONDS_TO_INSTALL = 1800


class NoEnvironmentError(Exception):
    """Why there is no such environment."""


def make_environment(name: str, lock: str) -> Path:
    """The Python of an environment that holds what a lock says, and nothing else.

    Made from nothing once for each state of the lock, in build/NAME.

    Raises:
        NoEnvironmentError: it could not be made, with the reason.
    """
    folder = ROOT / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / hashlib.sha256(lock.encode()).hexdigest()[:16]
    stamp = home / "made"
    with open(folder / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not stamp.exists():
            for older in folder.glob("*/"):
                shutil.rmtree(older)
            _run("making it", sys.executable, "-m", "venv", home)
            (home / "lock.txt").write_text(lock, "utf-8")
            wheels = os.environ.get("WHEELHOUSE", "requirements/wheelhouse")
            python = home / "bin" / "python"
            _run("installing", "requirements/install.sh", python, home / "lock.txt", wheels)
            stamp.touch()
    return home / "bin" / "python"


def missing_environment(reason: NoEnvironmentError) -> None:
    """Skip where an environment may be missing: on one's own machine, and not in CI."""
    if os.environ.get("CI") or os.environ.get("SEEDSTABILITY_BRING_ENGINE") == "1":
        pytest.fail(str(reason))
    pytest.skip(str(reason))


def _run(what: str, *words: str | Path) -> None:
    try:
        ran = subprocess.run(
            words,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_INSTALL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoEnvironmentError(f"{what} took more than {SECONDS_TO_INSTALL} s") from None
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["no reason given"]
        why = next((line for line in said if line.startswith("ERROR")), said[-1])
        raise NoEnvironmentError(f"no environment: {what} failed: {why[:300]}")
