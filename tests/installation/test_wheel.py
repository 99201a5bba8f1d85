"""What `pip install .` gives: the library alone, in an environment that holds nothing else."""

import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seedstability
from helpers.comparison_data import activations, planted
from helpers.declared import (
    declared_dependencies,
    imported_distributions,
    lock_of,
    optional_dependencies,
    project,
)
from helpers.doc_examples import check_printed, commands, python_examples
from helpers.environments import NoEnvironmentError, make_environment, missing_environment
from helpers.repository import CODE, ROOT
from seedstability.dictionaries.formats.folder import save
from seedstability.report.report import FILES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: setuptools leaves files beside the sources."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(CODE, copy / "code", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "docs", copy / "docs")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    words = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, copy]
    built = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    [path] = out.iterdir()
    return path


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


def test_the_wheel_has_the_library_with_its_data_and_nothing_of_the_audit(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    library = [path for path in (CODE / "seedstability").rglob("*") if path.is_file()]
    kept = {path for path in library if "__pycache__" not in path.parts}
    assert names == {path.relative_to(CODE).as_posix() for path in kept}
    assert {path.suffix for path in kept} == {".py", ".typed", ".json", ".css", ".js", ".j2"}


def test_the_wheel_says_what_it_is(wheel):
    told = metadata(wheel)
    assert told["Name"] == "seedstability"
    assert told["Version"] == seedstability.__version__
    assert set(told["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    needed = {Requirement(line) for line in told.get_all("Requires-Dist")}
    extras = {
        Requirement(f'{each}; extra == "{name}"')
        for name, some in optional_dependencies().items()
        for each in some
    }
    assert needed == {*declared_dependencies(), *extras}


def test_what_is_declared_is_what_is_imported_each_with_a_lower_bound():
    optional = [each for some in optional_dependencies().values() for each in some]
    declared = [*declared_dependencies(), *optional]
    assert {canonicalize_name(each.name) for each in declared} == imported_distributions()
    for each in declared:
        assert [bound.operator for bound in each.specifier] == [">="], each


def test_the_citation_names_the_same_version_and_license():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert str(citation["version"]) == seedstability.__version__
    assert citation["license"] == project()["license"]


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Path:
    """The folder of programs of an environment with the wheel and what it needs."""
    names = frozenset(canonicalize_name(each.name) for each in declared_dependencies())
    try:
        python = make_environment("library", lock_of(names))
    except NoEnvironmentError as reason:
        missing_environment(reason)
        raise
    words = ["install", "-q", "--no-deps", "--no-index", "--force-reinstall", wheel]
    subprocess.run([python, "-m", "pip", *words], check=True)
    return python.parent


def run(program: Path, *words: str | Path, cwd: Path) -> str:
    """What a program of that environment prints; nothing of this repository is on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [program, *words], cwd=cwd, env=kept, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.slow
def test_pip_finds_nothing_missing(clean, tmp_path):
    assert "No broken requirements" in run(clean / "pip", "check", cwd=tmp_path)
    there = run(clean / "pip", "list", cwd=tmp_path).lower()
    assert "transformer-lens" not in there
    assert "wandb" not in there


@pytest.mark.slow
def test_the_installed_command_writes_the_same_bytes_as_the_checkout(clean, tmp_path):
    for seed, each in enumerate(planted(2, n=32, d=8, shared=8)):
        save(each, tmp_path / f"seed{seed}")
    np.save(tmp_path / "x.npy", activations(300, 8).numpy())
    words = ("compare", "seed0", "seed1", "--activations", "x.npy", "--out")
    printed = run(clean / "seedstability", *words, "installed", cwd=tmp_path)
    assert printed.splitlines()[-3:] == [f"installed/{name}" for name in FILES]
    subprocess.run(
        [sys.executable, "-m", "seedstability", *words, "checkout"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CODE)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in FILES:
        ours, theirs = tmp_path / "checkout" / name, tmp_path / "installed" / name
        assert ours.read_bytes() == theirs.read_bytes(), name


@pytest.mark.slow
def test_the_documentations_examples_run_as_installed(clean, tmp_path):
    for example in python_examples():
        check_printed(example, run(clean / "python", "-c", example.code, cwd=tmp_path))
    for words in commands():
        run(clean / "seedstability", *words, cwd=tmp_path)
    assert run(clean / "python", "-m", "seedstability", "--version", cwd=tmp_path).strip() == (
        seedstability.__version__
    )
