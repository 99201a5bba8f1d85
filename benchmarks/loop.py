"""What the author waits for: the verbs of every day when there is nothing to run, and after a word.

    .venv/bin/python benchmarks/loop.py

Each command is a fresh process, in a scratch copy of the repository that shares the store. Rounds
are interleaved; medians are printed, and their ratio to a bare `python -c "import numpy"` of the
same rounds, which depends less on the machine. Where the store does not hold the paper's results,
`paper` is `paper --from-locked`, which only renders.
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
from string import ascii_lowercase

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("inv", "invoke.yaml", "tasks.py", "code", "data", "paper", "requirements")
NUMPY = "import numpy"
WORDS = {
    "paper, a word changed": Path("paper", "main", "introduction.tex"),
    "paper, a word of the supplement changed": Path("paper", "sections", "chance.tex"),
}
"""Edit by its name → the section that gets another word."""
WRONG_FLAG = "status --no-such-flag"
GOALS = {
    "paper": 2.0,
    **dict.fromkeys(WORDS, 5.0),
    "verify": 1.5,
    "verify --claim C02": 1.5,
    "status": 1.5,
    "experiments --profile full --dry-run": 3.0,
    "--list": 0.4,
    WRONG_FLAG: 0.4,
}
"""Command → seconds that it may take on two cores."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seedstability-") as scratch:
        checkout = copied(Path(scratch) / "checkout")
        paper = ["paper"] if is_up_to_date(checkout) else ["paper", "--from-locked"]
        taken = {name: [] for name in (NUMPY, *GOALS)}
        for number in range(arguments.rounds + 1):
            for name, seconds in taken.items():
                spent = timed(name, checkout, paper, number)
                if number:  # the first round warms up
                    seconds.append(spent)
    print_table({name: median(seconds) for name, seconds in taken.items()})
    print(f"`paper` is `{' '.join(paper)}`")


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


def is_up_to_date(checkout: Path) -> bool:
    """Whether `paper` would run no stage."""
    counts = re.search(
        r"(\d+) of (\d+) stages are up to date", run(["./inv", "status"], checkout).stdout
    )
    return counts is not None and counts[1] == counts[2]


def timed(name: str, checkout: Path, paper: list[str], number: int) -> float:
    """Seconds of one command in one round; `paper` is how the paper is made."""
    if name in WORDS:
        text = (ROOT / WORDS[name]).read_text("utf-8")
        (checkout / WORDS[name]).write_text(
            f"{text}\nChanged{ascii_lowercase[number % 26]}.\n", "utf-8"
        )
    words = paper if name in ("paper", *WORDS) else name.split()
    command = [sys.executable, "-c", NUMPY] if name == NUMPY else ["./inv", *words]
    start = time.perf_counter()
    ended = run(command, checkout)
    spent = time.perf_counter() - start
    if ended.returncode and name != WRONG_FLAG:
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
        shown = name if name in WORDS else f"`{name}`"
        print(f"| {shown} | {spent:.2f} | {spent / seconds[NUMPY]:.1f} | {goal} |")


if __name__ == "__main__":
    main()
