"""How many stages each of the last commits would have made stale, by files and by definitions.

    .venv/bin/python benchmarks/staleness.py [COMMITS]

For each commit that touches code/, its tree and its parent's are compared: a stage counts as stale
by files if any file that its module imports, directly or not, has other code, and by definitions if
any definition within reach of its function has. Settings and packages are left out.
"""

import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import deque
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "code"))

from audit.pipeline.graph.sources import Sources

FUNCTIONS = """
import json
from audit.experiments.registry import parts
from audit.pipeline.graph.stage import in_order
stages = in_order(stage for part in parts("paper").values() for stage in part.values())
print(json.dumps([stage.function for stage in stages]))
"""


@dataclass
class Tree:
    """The code of one commit."""

    sources: Sources
    functions: list[str]
    """Of each stage of profile paper."""


def tree_of(commit: str, folder: Path) -> Tree:
    words = ["git", "archive", commit, "code", "data"]
    packed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    code = folder / "code"
    asked = subprocess.run(
        [sys.executable, "-c", FUNCTIONS],
        env={"PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
    )
    return Tree(Sources(code), json.loads(asked.stdout) if asked.returncode == 0 else [])


def files_of(sources: Sources, module: str) -> dict[str, str]:
    """Module → its code, for all that a module imports anywhere, directly or not."""
    found: dict[str, str] = {}
    waiting = deque([module])
    while waiting:
        name = waiting.popleft()
        if name in found or sources.path(name) is None or not sources.counts(name):
            continue
        parsed = sources.parsed(name)
        definitions = [(each.name, each.digest) for each in parsed.definitions.values()]
        found[name] = str((definitions, parsed.imports))
        each_loads = [each.loads for each in parsed.definitions.values()]
        loads = [*parsed.loads, *(load for loads in each_loads for load in loads)]
        for load in loads:
            waiting += [load, load.rpartition(".")[0]]
    return found


def stale(before: Tree, after: Tree) -> tuple[int, int, int]:
    """Stages, and of these stale by files and by definitions."""
    same = [f for f in after.functions if f in set(before.functions)]
    by_files = by_definitions = 0
    known: dict[str, tuple[bool, bool]] = {}
    for function in same:
        if function not in known:
            module = function.partition(":")[0]
            files = files_of(before.sources, module) != files_of(after.sources, module)
            closures = [t.sources.closure([function]).definitions for t in (before, after)]
            known[function] = files, closures[0] != closures[1]
        by_files += known[function][0]
        by_definitions += known[function][1]
    return len(same), by_files, by_definitions


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    log = ["git", "log", "--no-merges", f"-{count}", "--format=%h %s", "--", "code"]
    commits = subprocess.run(log, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    rows = []
    print(f"{'commit':9} {'stages':>6} {'files':>6} {'defs':>6}")
    for line in commits:
        commit, _, subject = line.partition(" ")
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            before, after = tree_of(f"{commit}~", Path(one)), tree_of(commit, Path(other))
            row = stale(before, after)
        if row[0]:
            rows.append(row)
            print(f"{commit:9} {row[0]:6} {row[1]:6} {row[2]:6}  {subject[:70]}", flush=True)
    for name, column in (("files", 1), ("definitions", 2)):
        found = [row[column] for row in rows]
        print(f"stale by {name}: {sum(found)} in all, median {statistics.median(found):g}")


if __name__ == "__main__":
    main()
