"""The locks: everything by hash, nothing from a named place, two variants that are one."""

import re
from importlib import metadata

import pytest

from helpers.repository import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = ("cpu", "cuda")
ONLY_CUDA = re.compile(r"nvidia-.+|cuda-.+|triton")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def blocks(variant: str) -> dict[str, str]:
    """Package → its whole entry: the version, and the hashes on the lines that follow."""
    text = (REQUIREMENTS / f"{variant}.txt").read_text("utf-8")
    text = re.sub(r"(?m)^#.*\n", "", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    return {canonical(re.match(r"[A-Za-z0-9._-]+", entry)[0]): entry for entry in entries}


def version(entry: str) -> str:
    return re.match(r"\S+==(\S+)", entry)[1]


def asked_for() -> set[str]:
    lines = (REQUIREMENTS / "project.in").read_text("utf-8").splitlines()
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return {canonical(name[0]) for name in names if name}


@pytest.mark.parametrize("variant", [*LOCKS, "weights"])
def test_every_package_is_pinned_and_hashed(variant):
    for name, entry in blocks(variant).items():
        pin = r"[A-Za-z0-9._-]+==\S+( ;[^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
        assert re.fullmatch(pin, entry), name


@pytest.mark.parametrize("variant", [*LOCKS, "weights"])
def test_no_lock_says_where_packages_come_from(variant):
    text = (REQUIREMENTS / f"{variant}.txt").read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host", text)


@pytest.mark.parametrize("variant", LOCKS)
def test_all_that_the_project_names_is_locked(variant):
    assert asked_for() <= blocks(variant).keys()


@pytest.mark.parametrize("variant", LOCKS)
def test_the_versions_that_the_numbers_depend_on(variant):
    locked = blocks(variant)
    assert version(locked["torch"]).split("+")[0] == "2.13.0"
    assert version(locked["transformer-lens"]).startswith("4.")


def test_the_variants_differ_only_in_torch_and_what_cuda_brings():
    cpu, cuda = blocks("cpu"), blocks("cuda")
    extra = cuda.keys() - cpu.keys()
    assert cpu.keys() <= cuda.keys()
    assert [name for name in extra if not ONLY_CUDA.fullmatch(name)] == []
    assert [name for name in cpu if cpu[name] != cuda[name]] == ["torch"]
    assert version(cpu["torch"]) == version(cuda["torch"]) + "+cpu"


def test_what_is_installed_is_what_is_locked():
    installed = {canonical(found.name): found.version for found in metadata.distributions()}
    variant = "cpu" if installed["torch"].endswith("+cpu") else "cuda"
    locked = {name: version(entry) for name, entry in blocks(variant).items()}
    weights = {name: version(entry) for name, entry in blocks("weights").items()}
    # pip comes with the environment; the package itself is found by path, or installed by a user;
    # the weights may be missing.
    beside = {"pip", "seedstability", *weights} - locked.keys()
    assert {name: v for name, v in installed.items() if name not in beside} == locked
    assert all(installed.get(name, v) == v for name, v in weights.items())
