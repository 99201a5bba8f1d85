"""Read `data/claims` and refuse whatever is not exactly as `claims` says."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from audit.folders import DATA
from audit.ledger.checks import CHECKS, Check
from audit.ledger.claims import Claim, Note
from audit.ledger.subjects import load_subjects, with_twins
from seedstability.errors import UserError

FOLDER = DATA / "claims"


def load_claims(folder: Path = FOLDER) -> list[Claim]:
    """All claims and notes, by id.

    Raises:
        UserError: naming file, entry and field, when a file is damaged or an id stands twice.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UserError(f"{folder} holds no claims; restore it from the repository")
    known: dict[str, Path] = {}
    claims = []
    for file in files:
        for claim in _load_file(file):
            if claim.id in known:
                raise UserError(
                    f"{_shown(file)}: {claim.id} stands also in {_shown(known[claim.id])};"
                    " give each claim an id of its own"
                )
            known[claim.id] = file
            claims.append(with_twins(claim, load_subjects(folder / "subjects")))
    return sorted(claims, key=lambda claim: claim.id)


def select(claims: Iterable[Claim], ids: Sequence[str]) -> list[Claim]:
    """The claims with these ids, in the ledger's order; all of them when no id is given.

    Upper or lower case does not matter, and an id without its letter means all that have it.

    Raises:
        UserError: naming near ids, when there is no such claim.
    """
    claims = list(claims)
    names = {name.casefold() for claim in claims for name in (claim.id, claim.base)}
    for wanted in ids:
        if wanted.casefold() not in names:
            bases = list(dict.fromkeys(claim.base for claim in claims))
            near = get_close_matches(wanted.upper(), bases, n=3, cutoff=0.5) or bases
            raise UserError(f"there is no claim {wanted!r}; near: {', '.join(near)}")
    asked = {wanted.casefold() for wanted in ids}
    return [
        claim for claim in claims if not ids or {claim.id.casefold(), claim.base.casefold()} & asked
    ]


def _load_file(file: Path) -> list[Claim]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise UserError(
            f"{_shown(file)} cannot be read ({problem}); restore it from the repository"
        ) from None
    try:
        _only({"report", "citation", "claim", "note"}, content)
        shared = {name: _converted(content.get(name), str, name) for name in ("report", "citation")}
        entries = _converted(content.get("claim"), list, "claim")
        notes = _converted(content["note"], list, "note") if "note" in content else []
    except ValueError as problem:
        raise UserError(f"{_shown(file)}: {problem}") from None
    kinds = [(Claim, entry) for entry in entries] + [(Note, entry) for entry in notes]
    return [_claim(kind, file, n, entry, shared) for n, (kind, entry) in enumerate(kinds, 1)]


def _claim(kind: type[Claim], file: Path, number: int, entry: Any, shared: dict[str, str]) -> Claim:
    name = entry.get("id", f"entry {number}") if isinstance(entry, dict) else f"entry {number}"
    try:
        return _built(kind, entry, given=shared)
    except ValueError as problem:
        raise UserError(f"{_shown(file)}: {name}: {problem}") from None


def _built(cls: type, entry: Any, given: dict[str, str] | None = None) -> Any:
    """An instance of a dataclass from a TOML table that has its fields and no others."""
    given = given or {}
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r} must be a table of {cls.__name__.lower()} fields")
    known = {field.name: field for field in fields(cls)}
    _only(set(known) - set(given) - _MADE, entry)
    for field in known.values():
        required = field.default is MISSING and field.name not in given
        if required and field.name not in entry:
            raise ValueError(f"{field.name} is missing")
    hints = _hints(cls)
    return cls(**given, **{name: _converted(v, hints[name], name) for name, v in entry.items()})


def _check(entry: Any) -> Check:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if kind not in CHECKS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(CHECKS)}")
    return _built(CHECKS[kind], {name: v for name, v in entry.items() if name != "kind"})


def _converted(value: Any, hint: Any, name: str) -> Any:
    if hint is float and type(value) in (int, float) and isfinite(value):
        return float(value)
    if hint in _ARTICLES:
        if type(value) is not hint or hint is float or value in ("", []):
            raise ValueError(f"{name} is {value!r}; it must be {_ARTICLES[hint]}")
        return value
    if get_origin(hint) is UnionType:
        return _converted(value, next(h for h in get_args(hint) if h is not NoneType), name)
    if get_origin(hint) is tuple:
        return _several(value, get_args(hint)[0], name)
    return _named(name, _built, hint, value)


def _several(value: Any, hint: Any, name: str) -> tuple:
    # One address may stand alone, without brackets.
    values = [value] if hint is str and isinstance(value, str) else value
    if not isinstance(values, list):
        raise ValueError(f"{name} is {value!r}; it must be a list")
    if hint is Check:
        return tuple(_named(f"{name} {n}", _check, v) for n, v in enumerate(values, 1))
    return tuple(_converted(v, hint, f"{name} {n}") for n, v in enumerate(values, 1))


def _named(name: str, build, *arguments: Any) -> Any:
    """Say in which nested table something is wrong."""
    try:
        return build(*arguments)
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None


def _only(allowed: set[str], entry: dict) -> None:
    for name in entry:
        if name not in allowed:
            near = get_close_matches(name, allowed, n=1) or sorted(allowed)
            raise ValueError(f"{name} is no field; near: {', '.join(near)}")


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _shown(file: Path) -> str:
    return "/".join(file.parts[-3:])


_MADE = {"twins"}
"""Fields that no entry gives."""
_ARTICLES = {
    str: "a text",
    float: "a finite number",
    int: "a whole number",
    bool: "true or false",
    list: "a list of [[claim]] or [[note]] entries",
}
