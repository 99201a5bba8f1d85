"""Training speed of this repository, three libraries and plain torch, on one core.

    python benchmarks/training/race.py --shapes A B

Every contestant is a process on the same core, with the same allocator, data and batches. Rounds
are interleaved, so that other load on the machine affects all equally. Each trains one seed, so
samples per second are samples times seeds per second.
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


class ContestantFailed(Exception):
    """A contestant failed; the message says why."""


class Child:
    """Process of a contestant."""

    def __init__(self, name: str, core: int, pinned: bool):
        self.name, self.core, self.pinned = name, core, pinned
        self.process: subprocess.Popen | None = None

    def ask(self, **values) -> dict:
        """Send a command and return the answer; the first command starts the process."""
        if self.process is None:
            self.process = self._start()
        with suppress(BrokenPipeError):  # its last answer has the error
            print(json.dumps(values), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"error": "its process died"}')
        if "error" in answer:
            self.quit()
            raise ContestantFailed(f"{self.name}: {answer['error']}")
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
    """Environment of all contestants: one thread, the same allocator; optionally pinned."""
    settings = pinning.environment()
    if not pinned:
        settings = {name: value for name, value in settings.items() if name not in pinning.pins()}
    quiet = {"TQDM_DISABLE": "1", "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **settings, **quiet}


def race(children: list[Child], letter: str, rounds: int | None) -> dict[str, dict]:
    """Measure speeds of each round and final explained variance of all contestants that work."""
    shape, results = SHAPES[letter], {}
    for child in children:
        try:
            child.ask(do="make", shape=letter, seed=0)
            child.ask(do="run", steps=shape.warm_up)
            results[child.name] = {"speeds": []}
        except ContestantFailed as why:
            print(f"{letter} without {why}", file=sys.stderr)
    racing = [child for child in children if child.name in results]
    for turn in range(rounds or shape.rounds):
        first = turn % max(len(racing), 1)
        for child in racing[first:] + racing[:first]:  # rotate the order
            seconds = child.ask(do="run", steps=shape.steps)["seconds"]
            results[child.name]["speeds"].append(shape.steps * shape.batch / seconds / 1000)
    for child in racing:
        results[child.name] |= child.ask(do="variance")
        child.ask(do="end")
    return results


def table(letter: str, shape: Shape, rounds: int, results: dict[str, dict]) -> str:
    """Format the speeds of one shape, and ratios of ours to the peers'."""
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
    """Processor and versions."""
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
    parser.add_argument("--rounds", type=int, help="override each shape's number of rounds")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--pinned", action="store_true", help="with pinned numerics")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the speeds of all rounds to this file"
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    children = [Child(name, options.core, options.pinned) for name in options.contestants]
    values = about(options.pinned) | {"shapes": {}}
    print(f"{values['processor']}, one core{', pinned' if options.pinned else ''}")
    try:
        for letter in options.shapes:
            results = race(children, letter, options.rounds)
            values["shapes"][letter] = results
            rounds = options.rounds or SHAPES[letter].rounds
            print(f"\n{table(letter, SHAPES[letter], rounds, results)}", flush=True)
    except ContestantFailed as why:
        sys.exit(f"the race was aborted: {why}")
    finally:
        for child in children:
            child.quit()
    if options.json:
        options.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
