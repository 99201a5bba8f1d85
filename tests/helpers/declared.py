"""What the library says that it needs, and what it imports."""

import ast
import sys
from functools import cache
from importlib.metadata import packages_distributions, requires
from tomllib import loads

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.repository import CODE, ROOT


def project() -> dict:
    return loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def declared_dependencies() -> list[Requirement]:
    return [Requirement(line) for line in project()["dependencies"]]


def optional_dependencies() -> dict[str, list[Requirement]]:
    """By the name of what they are for."""
    extras = project().get("optional-dependencies", {})
    return {name: [Requirement(line) for line in lines] for name, lines in extras.items()}


def imported_distributions() -> set[str]:
    """The packages that the library imports anywhere, as they are called when installed."""
    modules = set()
    for file in (CODE / "seedstability").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
    installed = packages_distributions()
    strangers = modules - sys.stdlib_module_names - {"seedstability"}
    return {canonicalize_name(installed[module][0]) for module in strangers}


@cache
def closure(names: frozenset[str]) -> frozenset[str]:
    """These packages and all that they need, as installed here."""
    found, waiting = set(), set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        needed = (Requirement(line) for line in requires(name) or ())
        wanted = (each for each in needed if not each.marker or each.marker.evaluate({"extra": ""}))
        waiting |= {canonicalize_name(each.name) for each in wanted} - found
    return frozenset(found)


def lock_of(names: frozenset[str]) -> str:
    """Those entries of the CPU lock that these packages need."""
    lines, kept = [], False
    for line in (ROOT / "requirements" / "cpu.txt").read_text("utf-8").splitlines(keepends=True):
        if line[0] not in " #":
            kept = canonicalize_name(line.partition("==")[0]) in closure(names)
        lines += [line] * kept
    return "".join(lines)
