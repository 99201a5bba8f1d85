"""Training speed of this repository beside three libraries and plain torch, on one core.

    python benchmarks/training/race.py --shapes A B

Every contestant is a process of its own on the same core, with the same allocator, data and
batches. They take turns, round by round, so that whatever else the machine does hits all alike.
Each trains one seed, so samples a second are samples times seeds a second.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "code"))

from contestants import NAMES, OURS, PEERS
from shapes import SHAPES, Shape

from seedstability.numerics import pinning

VERSIONS = ("torch", "numpy", "numba", "dictionary-learning", "sae-lens", "eai-sparsify")


class LeftOut(Exception):
    """A contestant cannot take part; the message says why."""


class Child:
    """A contestant's process."""

    def __init__(self, name: str, core: int, pinned: bool):
        self.name, self.core, self.pinned = name, core, pinned
        self.process: subprocess.Popen | None = None

    def ask(self, **told) -> dict:
        """What it answers; its process is started when it is first asked for something."""
        if self.process is None:
            self.process = self._start()
        with suppress(BrokenPipeError):  # it says on its way out why
            print(json.dumps(told), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"error": "its process died"}')
        if "error" in answer:
            self.quit()
            raise LeftOut(f"{self.name}: {answer['error']}")
        return answer

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, str(HERE / "child.py"), self.name, str(self.core)]
        command += ["--pinned"] if self.pinned else []
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment(self.pinned), **pipes)

    def quit(self) -> None:
        if self.process is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait()
            self.process = None


def environment(pinned: bool) -> dict[str, str]:
    """One thread and the same allocator for all; with pins, our stages' instructions too."""
    settings = pinning.environment()
    if not pinned:
        settings = {name: value for name, value in settings.items() if name not in pinning.pins()}
    quiet = {"TQDM_DISABLE": "1", "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **settings, **quiet}


def race(children: list[Child], letter: str, rounds: int | None) -> dict[str, dict]:
    """Speeds of each round and the explained variance at the end, for whoever could take part."""
    shape, results = SHAPES[letter], {}
    for child in children:
        try:
            child.ask(do="make", shape=letter, seed=0)
            child.ask(do="run", steps=shape.warm_up)
            results[child.name] = {"speeds": []}
        except LeftOut as why:
            print(f"{letter} without {why}", file=sys.stderr)
    racing = [child for child in children if child.name in results]
    for turn in range(rounds or shape.rounds):
        first = turn % max(len(racing), 1)
        for child in racing[first:] + racing[:first]:  # nobody always runs after the same one
            seconds = child.ask(do="run", steps=shape.steps)["seconds"]
            results[child.name]["speeds"].append(shape.steps * shape.batch / seconds / 1000)
    for child in racing:
        results[child.name] |= child.ask(do="variance")
        child.ask(do="end")
    return results


def table(letter: str, shape: Shape, rounds: int, results: dict[str, dict]) -> str:
    """The speeds of one shape, and what ours is over the peers'."""
    medians = {name: median(result["speeds"]) for name, result in results.items()}
    steps = shape.warm_up + rounds * shape.steps
    lines = [
        f"{letter}: {shape.width} → {shape.latents} latents, k = {shape.k}, batch {shape.batch}; "
        f"{rounds} rounds of {shape.steps} steps after {shape.warm_up}",
        f"{'thousand samples·seeds/s':26} {'median':>8} {'min – max':>17}   "
        f"explained variance after {steps} steps",
    ]
    for name, result in results.items():
        span = f"{min(result['speeds']):.2f} – {max(result['speeds']):.2f}"
        lines.append(f"{name:26} {medians[name]:8.2f} {span:>17}   {result['variance']:.4f}")
    peers = [name for name in PEERS if name in medians]
    if peers:
        best = max(peers, key=medians.__getitem__)
        against = dict.fromkeys([best, "peer_dictionary_learning", "plain"])
        for ours in (name for name in OURS if name in medians):
            ratios = [
                f"{medians[ours] / medians[to]:.2f} × {to}" for to in against if to in medians
            ]
            lines.append(f"{ours} = {', '.join(ratios)} (best peer: {best})")
    return "\n".join(lines)


def about(pinned: bool) -> dict:
    """What the numbers were measured on."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    processor = cpu[0].partition(":")[2].strip() if cpu else platform.processor()
    return {"processor": processor, "pinned": pinned, "versions": found}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--contestants", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--rounds", type=int, help="instead of each shape's own number")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--pinned", action="store_true", help="with what fixes the bits set")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's speed too")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    children = [Child(name, asked.core, asked.pinned) for name in asked.contestants]
    told = about(asked.pinned) | {"shapes": {}}
    print(f"{told['processor']}, one core{', pinned' if asked.pinned else ''}")
    try:
        for letter in asked.shapes:
            results = race(children, letter, asked.rounds)
            told["shapes"][letter] = results
            rounds = asked.rounds or SHAPES[letter].rounds
            print(f"\n{table(letter, SHAPES[letter], rounds, results)}", flush=True)
    except LeftOut as why:
        sys.exit(f"given up in the middle of the race: {why}")
    finally:
        for child in children:
            child.quit()
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
