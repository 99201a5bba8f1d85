"""What tasks do beside the paper's graph: somebody's own dictionaries, the subjects' weights."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from seedstability.errors import UserError
from seedstability.pipeline import numerics
from seedstability.pipeline.abi import numeric_abi
from seedstability.subjects.config import read_recipe, subject_names


def compare_dictionaries(
    folders: Iterable[str],
    activations: str,
    initial: Iterable[str],
    out: Path,
    threshold: float,
    all_pairs: bool,
    threads: int,
) -> Iterator[str]:
    """Compare somebody's own dictionaries and write the report; the summary, then the files.

    Raises:
        UserError: for what cannot be compared, or an `out` that holds something else.
    """
    from seedstability.comparison.api import compare as compare_saes
    from seedstability.comparison.report import refuse_target
    from seedstability.pipeline.phases import Phases

    refuse_target(out)
    numerics.fix_after_torch(threads)
    with Phases() as phases:
        report = compare_saes(
            list(folders),
            activations or None,
            list(initial) or None,
            threshold=threshold,
            all_pairs=all_pairs,
            numeric_abi=asdict(numeric_abi()),
            listener=phases,
        )
    files = report.write(out)
    yield from report.summary
    yield from map(str, files)


def known_subjects() -> str:
    """The transformers whose weights are kept, a line each."""
    lines = []
    for name in subject_names():
        recipe = read_recipe(name)
        accuracy = 100 * recipe["results"]["heldout_accuracy"]
        lines.append(
            f"{name}: {accuracy:.2f}% of the held-out pairs, sha256 {recipe['sha256'][:12]}…,"
            f" trained in {recipe['wall_seconds']:.0f} s on {recipe['numeric_abi']}"
        )
    return "\n".join(lines)


def retrain_subjects(name: str = "") -> Iterator[str]:
    """Train transformers again, one after the other, and say whether their bits agree.

    Raises:
        UserError: for a name that is not there, or weights that are missing or damaged.
    """
    if name and name not in subject_names():
        raise UserError(f"no subject is called {name!r}; there are {', '.join(subject_names())}")
    for each in [name] if name else subject_names():
        yield _retrained(each)


def _retrained(name: str) -> str:
    """In a process of its own: what fixes the bits has to be set before torch is loaded."""
    code = (
        "import sys; from seedstability.pipeline.numerics import fix_after_torch;"
        "fix_after_torch(); from seedstability.subjects.weights import retrain;"
        "r = retrain(sys.argv[1]);"
        "print(r.same_bits, r.largest_difference, r.heldout_accuracy, r.seconds)"
    )
    package = Path(__file__).resolve().parents[1]
    environment = {**os.environ, **numerics.environment(), "PYTHONPATH": str(package)}
    ran = subprocess.run(
        [sys.executable, "-c", code, name], env=environment, capture_output=True, text=True
    )
    if ran.returncode:
        raise UserError(f"{name} could not be trained again: {ran.stderr.strip().splitlines()[-1]}")
    same, difference, accuracy, seconds = ran.stdout.split()[-4:]
    bits = (
        "the same bits" if same == "True" else f"other bits, at most {float(difference):.2g} away"
    )
    return (
        f"{name}: {bits}; {100 * float(accuracy):.2f}% of the held-out pairs,"
        f" {float(seconds):.0f} s"
    )
