"""What the author waits for: the verbs of every day when there is nothing to run, and after a word.

    .venv/bin/python benchmarks/loop.py

Each command is a fresh process, in a scratch copy of the repository that shares the store. Rounds are
interleaved; medians are printed, and their ratio to a bare `python -c "import numpy"` of the same
rounds, which depends less on the machine. Needs a store in which all is up to date.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("inv", "invoke.yaml", "tasks.py", "code", "data", "paper", "requirements")
SECTION = Path("paper", "sections", "introduction.tex")
NUMPY = "import numpy"
A_WORD = "paper, a word changed"
WRONG_FLAG = ("status", "--no-such-flag")
GOALS = {
    "paper": 2.0,
    A_WORD: 5.0,
    "verify": 1.5,
    "verify --claim C02": 1.5,
    "status": 1.5,
    "experiments --profile full --dry-run": 3.0,
    "--list": 0.4,
    " ".join(WRONG_FLAG): 0.4,
}
"""Command → seconds that it may take on two cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", default="paper", choices=("smoke", "paper"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seedstability-") as scratch:
        checkout = copied(Path(scratch) / "checkout")
        refuse_stale(checkout, arguments.profile)
        taken = {name: [] for name in (NUMPY, *GOALS)}
        for number in range(arguments.rounds + 1):
            for name, seconds in taken.items():
                spent = timed(name, checkout, arguments.profile, number)
                if number:  # the first round warms up
                    seconds.append(spent)
    print_table({name: median(seconds) for name, seconds in taken.items()})


def copied(checkout: Path) -> Path:
    """A copy whose text can be edited, with the store and the environment of this one."""
    checkout.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    (checkout / "build").mkdir()
    (checkout / "build" / "store").symlink_to(ROOT / "build" / "store")
    return checkout


def refuse_stale(checkout: Path, profile: str) -> None:
    said = run(["./inv", "status", "--profile", profile], checkout)
    counts = re.search(r"(\d+) of (\d+) stages are up to date", said.stdout)
    if counts is None or counts[1] != counts[2]:
        sys.exit(
            f"first `./inv experiments --profile {profile}`: {(said.stdout + said.stderr)[-200:]}"
        )


def timed(name: str, checkout: Path, profile: str, number: int) -> float:
    """Seconds of one command."""
    words = name.split()
    if name == A_WORD:
        section = checkout / SECTION
        text = (ROOT / SECTION).read_text("utf-8")
        section.write_text(
            f"{text}\nChanged{'abcdefghijklmnopqrstuvwxyz'[number % 26]}.\n", "utf-8"
        )
        words = ["paper"]
    if words[0] in ("paper", "verify", "status") and "--profile" not in words:
        words = [words[0], "--profile", profile, *words[1:]]
    command = [sys.executable, "-c", NUMPY] if name == NUMPY else ["./inv", *words]
    start = time.perf_counter()
    ended = run(command, checkout)
    spent = time.perf_counter() - start
    if ended.returncode and name != " ".join(WRONG_FLAG):
        sys.exit(f"{' '.join(command)}: {(ended.stdout + ended.stderr)[-500:]}")
    return spent


def run(command: list[str], checkout: Path) -> subprocess.CompletedProcess:
    # Compiled modules are kept, as they are for everybody who has not asked for something else.
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


def print_table(seconds: dict[str, float]) -> None:
    print("| command | seconds | imports of numpy | goal, seconds |")
    print("| --- | --- | --- | --- |")
    for name, spent in seconds.items():
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        shown = name if name == A_WORD else f"`{name}`"
        print(f"| {shown} | {spent:.2f} | {spent / seconds[NUMPY]:.1f} | {goal} |")


if __name__ == "__main__":
    main()
