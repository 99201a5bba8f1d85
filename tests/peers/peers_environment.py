"""The libraries in an environment of their own: they pin other versions than ours."""

import os
import subprocess
from pathlib import Path

from helpers.environments import make_environment
from helpers.repository import ROOT

# The benchmarks race against the same three, and lock them by hash.
LOCK = ROOT / "requirements" / "bench.txt"
HERE = Path(__file__).parent
SECONDS_TO_RUN = 600


def made() -> Path:
    """Its Python; see `make_environment`."""
    return make_environment("peers", LOCK.read_text("utf-8"))


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
