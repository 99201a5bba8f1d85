"""A second subject: the same rule, read where the same values of another model stand."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from audit.folders import DATA
from audit.ledger.checks import Arm, Check
from audit.ledger.claims import Claim, Need, Twin
from seedstability.errors import UserError

FOLDER = DATA / "claims" / "subjects"


@dataclass(frozen=True)
class Subject:
    """One model that stands in for the reports' beside another one."""

    name: str
    """Its name in checks."""
    of: str
    """The subject whose checks it has too."""
    addresses: Mapping[str, str]
    """Beginning of an address of that subject → of its own."""
    needs: Mapping[str, Need]
    """Experiment of that subject → what must hold before its checks say anything of this one."""


@cache
def load_subjects(folder: Path = FOLDER) -> tuple[Subject, ...]:
    """All second subjects; none where there is no folder of them.

    Raises:
        UserError: a file is damaged.
    """
    found = []
    for file in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
            needs = {name: Need(**need) for name, need in content.get("needs", {}).items()}
            found.append(Subject(content["subject"], content["of"], content["addresses"], needs))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise UserError(
                f"{file} cannot be read ({problem}); restore it from the repository"
            ) from None
    return tuple(found)


def with_twins(claim: Claim, subjects: tuple[Subject, ...]) -> Claim:
    """The claim with a twin of each check that another subject has the values for."""
    twins = [
        twin
        for subject in subjects
        for check in claim.check
        if check.subject == subject.of and (twin := _twin(check, subject)) is not None
    ]
    return replace(claim, twins=tuple(twins)) if twins else claim


def _twin(check: Check, subject: Subject) -> Twin | None:
    moved = {old: _moved(old, subject.addresses) for old in check.addresses}
    if not moved or None in moved.values():
        return None
    experiments = {address.partition(".")[0] for address in check.judged}
    needs = [need for name, need in subject.needs.items() if name in experiments]
    twin = replace(_readdressed(check, moved), subject=subject.name)
    return Twin(check=twin, need=needs[0] if needs else None)


def _moved(address: str, addresses: Mapping[str, str]) -> str | None:
    beginning = ".".join(address.split(".")[:2])
    if beginning not in addresses:
        return None
    return addresses[beginning] + address.removeprefix(beginning)


def _readdressed(node: Any, moved: Mapping[str, Any]) -> Any:
    """The same check, or arm of one, at other addresses."""
    if isinstance(node, str):
        return moved.get(node, node)
    if isinstance(node, tuple):
        return tuple(_readdressed(each, moved) for each in node)
    if isinstance(node, Check | Arm):
        new = {each.name: _readdressed(getattr(node, each.name), moved) for each in fields(node)}
        return replace(node, **new)
    return node
