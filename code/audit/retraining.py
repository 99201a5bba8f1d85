"""Retrain the subjects whose weights are in data/subjects, and compare the bits."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

from audit.folders import CODE
from audit.subjects.language_model import config as language
from audit.subjects.modular_addition.config import read_recipe, subject_names
from seedstability.errors import UserError
from seedstability.numerics import pinning


def describe_subjects() -> str:
    """Describe the subjects whose weights are kept, a line each."""
    lines = []
    for name in subject_names():
        recipe = read_recipe(name)
        accuracy = 100 * recipe["results"]["heldout_accuracy"]
        lines.append(
            f"{name}: {accuracy:.2f}% of the held-out pairs, sha256 {recipe['sha256'][:12]}…,"
            f" trained in {recipe['wall_seconds']:.0f} s on {recipe['numeric_abi']}"
        )
    recipe = language.read_recipe()
    lines.append(
        f"{language.OURS}: a language model, {_losses(recipe['results']['heldout_loss'])}, sha256"
        f" {recipe['sha256'][:12]}…, trained in {recipe['wall_seconds']:.0f} s"
        f" on {recipe['numeric_abi']}"
    )
    return "\n".join(lines)


def _losses(by_domain: Mapping[str, float]) -> str:
    each = " and ".join(f"{loss:.3f} on {domain}" for domain, loss in by_domain.items())
    return f"held-out loss {each} in nats a token"


def retrain_subjects(name: str = "") -> Iterator[str]:
    """Train subjects again, one after the other, and say whether their bits agree.

    Raises:
        UserError: for a name that is not there, or weights that are missing or damaged.
    """
    names = [*subject_names(), language.OURS]
    if name and name not in names:
        raise UserError(f"no subject is called {name!r}; there are {', '.join(names)}")
    for each in [name] if name else names:
        yield _retrain_language_model() if each == language.OURS else _retrain_transformer(each)


def _retrain_transformer(name: str) -> str:
    code = (
        "import sys; from seedstability.numerics.pinning import fix_after_torch;"
        "fix_after_torch(); from audit.subjects.modular_addition.weights import retrain;"
        "r = retrain(sys.argv[1]);"
        "print(r.same_bits, r.largest_difference, r.heldout_accuracy, r.seconds)"
    )
    recorded = read_recipe(name)["numeric_abi"].split(", ")[1]
    printed = _run_in_process(code, name, _pinned_to(recorded))
    same, difference, accuracy, seconds = printed.split()[-4:]
    return (
        f"{name}: {_same_bits(same, difference)};"
        f" {100 * float(accuracy):.2f}% of the held-out pairs, {float(seconds):.0f} s"
    )


def _pinned_to(instruction_set: str) -> dict[str, str]:
    """The pinned environment of one instruction set where it is here, or else of the default."""
    pins = (
        pinning.INSTRUCTION_SETS[instruction_set].pins
        if instruction_set in pinning.available()
        else {}
    )
    return {**pinning.environment(), **pins}


def _retrain_language_model() -> str:
    code = (
        "from audit.subjects.language_model.small import retrain; r = retrain();"
        "print(r.same_bits, r.largest_difference, *r.heldout_loss.values(), r.seconds)"
    )
    # With all instructions that the processor has: Muon's products in half precision are emulated
    # where they are pinned to AVX2, and the training would take four times as long.
    threads = {"OMP_NUM_THREADS": str(language.SMALL.threads)}
    same, difference, *losses, seconds = _run_in_process(code, language.OURS, threads).split()[-5:]
    by_domain = dict(zip(map(str, language.DOMAINS), map(float, losses), strict=True))
    told = f"{_same_bits(same, difference)}; {_losses(by_domain)}, {float(seconds):.0f} s"
    return f"{language.OURS}: {told}"


def _run_in_process(code: str, name: str, environment: Mapping[str, str]) -> str:
    """Run code and return what it prints.

    It needs its own process: what fixes the bits has to be set before torch is loaded.
    """
    package = str(CODE)
    ran = subprocess.run(
        [sys.executable, "-c", code, name],
        env={**os.environ, **environment, "PYTHONPATH": package},
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise UserError(f"{name} could not be retrained: {ran.stderr.strip().splitlines()[-1]}")
    return ran.stdout


def _same_bits(same: str, difference: str) -> str:
    if same == "True":
        return "the same bits"
    return f"other bits, at most {float(difference):.2g} away"
