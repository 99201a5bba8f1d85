"""The libraries in an environment of their own: they pin other versions than ours."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# The benchmarks race against the same three, and lock them by hash.
LOCK = REPOSITORY / "requirements" / "bench.txt"
HERE = Path(__file__).parent
SECONDS_TO_INSTALL = 1800
SECONDS_TO_RUN = 600


class NoPeersError(Exception):
    """Why there is no such environment."""


def made() -> Path:
    """Its Python. Made once for each state of the lock, in build/peers, from nothing.

    Raises:
        NoPeersError: it could not be made, with the reason.
    """
    folder = REPOSITORY / "build" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    stamp = home / "made"
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            for older in folder.glob("*/"):
                shutil.rmtree(older)
            _run("making it", sys.executable, "-m", "venv", home)
            wheels = os.environ.get("WHEELHOUSE", "requirements/wheelhouse")
            _run("installing", "requirements/install.sh", home / "bin" / "python", LOCK, wheels)
            stamp.touch()
    return home / "bin" / "python"


def run(python: Path, *words: str | Path) -> None:
    """Run `peers_main.py` there, without network, on one core."""
    quiet = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TQDM_DISABLE": "1"}
    ran = subprocess.run(
        [python, HERE / "peers_main.py", *words],
        env={**os.environ, **quiet, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_RUN,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]


def _run(what: str, *words: str | Path) -> None:
    try:
        ran = subprocess.run(
            words,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_INSTALL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoPeersError(f"{what} took more than {SECONDS_TO_INSTALL} s") from None
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["no reason given"]
        why = next((line for line in said if line.startswith("ERROR")), said[-1])
        raise NoPeersError(f"no environment of the peers' own: {what} failed: {why[:300]}")
