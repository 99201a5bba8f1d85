"""The locked values on disk: every printed scalar and plotted array, and the run that made them.

    data/locked/<profile>/<experiment>.json    one value a line, by address
    data/locked/<profile>/provenance.json      keys, numeric ABI, date, commit, cost
    data/locked/<profile>/platform.json        differences seen between numeric ABIs

Only `invoke lock` writes them; text, tables, figures and verdicts are rendered from nothing else.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audit.pipeline.locking.platform import FILE as _PLATFORM
from audit.pipeline.locking.platform import Spread, as_text, read_spreads
from audit.pipeline.locking.values import Printed, Values
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError
from seedstability.files import write_whole
from seedstability.numerics.abi import NumericABI

_PROVENANCE = "provenance.json"
_SCALAR_FIELDS: dict[str, type] = {
    **dict.fromkeys(("value", "low", "high", "chance", "tolerance"), float),
    **{"digits": int, "unit": str, "interval": str},
}
_ARRAY_FIELDS: dict[str, type] = {"array": list, "digits": int, "tolerance": float, "shape": list}


@dataclass(frozen=True)
class Cost:
    """What one stage took in the locked run."""

    seconds: float
    """Wall time."""
    megabytes: float
    """Peak resident memory."""


@dataclass(frozen=True)
class Confirmation:
    """A later run that came within tolerance of every locked value and left them as they are."""

    date: str
    """When it was recorded, in UTC."""
    commit: str
    """Source commit of that run."""
    abi: NumericABI
    """Its machine."""


@dataclass(frozen=True)
class LockedRun:
    """The run that made the locked values of one experiment."""

    date: str
    """When it was locked, in UTC."""
    commit: str
    """Source commit of the run."""
    abi: NumericABI
    """The machine, as far as bits go."""
    keys: Mapping[str, str]
    """Part of the experiment → digest of its stage's portable key."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Numeric package → version."""
    stages: Mapping[str, Cost] = field(default_factory=dict)
    """Every stage that the parts needed → its cost."""
    confirmed: Confirmation | None = None
    """The run whose code `keys` stand for, where that is not the run that gave the values."""


def read_values(folder: Path, experiments: Iterable[str] | None = None) -> Values:
    """The locked values of a profile.

    Args:
        folder: `data/locked/<profile>`.
        experiments: left out, all that are there.

    Raises:
        UserError: a file is missing or damaged; the message names file and line.
    """
    if experiments is None:
        beside = {_PROVENANCE, _PLATFORM}
        experiments = sorted(p.stem for p in folder.glob("*.json") if p.name not in beside)
    flat: dict[str, Printed] = {}
    for experiment in experiments:
        flat.update(_read_experiment(folder / f"{experiment}.json"))
    spreads = {name: each for name, each in read_spreads(folder).items() if name in flat}
    return Values(flat, source=f"the locked values ({folder})", spreads=spreads)


def read_runs(folder: Path) -> dict[str, LockedRun]:
    """The run behind each locked experiment of a profile; raises as `read_values`."""
    path = folder / _PROVENANCE
    return {name: _run(path, name, plain) for name, plain in _parse(path).items()}


def write_spreads(folder: Path, spreads: Mapping[str, Spread]) -> None:
    """Record differences between numeric ABIs beside those that are recorded already.

    Raises:
        UserError: the folder cannot be written.
    """
    known = read_spreads(folder)
    grown = {name: known.get(name, Spread()).or_larger(each) for name, each in spreads.items()}
    try:
        write_whole(folder / _PLATFORM, as_text(known | grown))
    except OSError as error:
        raise UserError(f"cannot lock values in {folder}: {error.strerror or error}") from error


def write(folder: Path, experiment: str, values: Values, run: LockedRun) -> None:
    """Lock the values of one experiment, each file whole or not at all.

    Args:
        folder: `data/locked/<profile>`.
        experiment: what all addresses begin with.
        values: the values.
        run: where they come from.

    Raises:
        UserError: an address of another experiment, or the folder cannot be written.
    """
    stray = [address for address in values if not address.startswith(f"{experiment}.")]
    if stray:
        raise UserError(f"{stray[0]} is no value of the experiment {experiment}")
    lines = [f"{json.dumps(name)}: {_as_json(values[name])}" for name in sorted(values)]
    runs = {**read_runs(folder)} if (folder / _PROVENANCE).exists() else {}
    runs[experiment] = run
    plain = {name: _without_none(asdict(runs[name])) for name in sorted(runs)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{experiment}.json", "{\n" + ",\n".join(lines) + "\n}\n")
        text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False)
        write_whole(folder / _PROVENANCE, text + "\n")
    except OSError as error:
        raise UserError(f"cannot lock values in {folder}: {error.strerror or error}") from error


def _without_none(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in plain.items() if item is not None}


def _as_json(value: Printed) -> str:
    if isinstance(value, Array):
        return _array_as_json(value)
    if isinstance(value, Scalar):
        kept = {name: item for name, item in asdict(value).items() if item not in (None, "")}
        return json.dumps(kept, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _array_as_json(array: Array) -> str:
    """The last axis on one line, so that a change shows as one line."""
    shape = list(array.values.shape)
    described = {"digits": array.digits, "tolerance": array.tolerance, "shape": shape}
    rows = np.atleast_1d(array.values).reshape(-1, max(1, shape[-1] if shape else 1))
    lines = ",\n ".join(json.dumps([_or_null(x) for x in row]) for row in rows.tolist())
    return json.dumps(described)[:-1] + f', "array": [\n {lines}]}}'


def _or_null(number: float) -> float | None:
    """JSON has no NaN, which stands for a gap in a plot."""
    return None if isinstance(number, float) and math.isnan(number) else number


def _parse(path: Path) -> dict[str, Any]:
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_refuse_duplicates)
    except FileNotFoundError:
        raise UserError(f"{path} is not there; `invoke lock` writes it") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}; {_REMEDY}") from None
    except (DuplicateAddress, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}{_line_of(path, str(error))}: {error}; {_REMEDY}") from None
    if not isinstance(parsed, dict):
        raise UserError(f"{path}:1: this is no list of values by address; {_REMEDY}")
    return parsed


_REMEDY = "restore it from the repository, or run `invoke lock`"


class DuplicateAddress(ValueError):
    """An address that stands there twice; JSON would keep the second in silence."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise DuplicateAddress(
            next(name for name in names if names.count(name) > 1) + " is there twice"
        )
    return found


def _read_experiment(path: Path) -> dict[str, Printed]:
    values = {}
    for address, plain in _parse(path).items():
        try:
            if not address.startswith(f"{path.stem}."):
                raise ValueError(f"it does not begin with {path.stem!r}")
            values[address] = _value(plain)
        except (ValueError, TypeError, KeyError) as error:
            line = _line_of(path, address)
            raise UserError(f"{path}{line}: {address}: {error}; {_REMEDY}") from None
    return values


def _value(plain: Any) -> Printed:
    if isinstance(plain, str | bool):
        return plain
    if not isinstance(plain, dict):
        raise ValueError(f"{plain!r} is no locked value")
    if "array" in plain:
        _check(plain, _ARRAY_FIELDS, needed=set(_ARRAY_FIELDS))
        return Array(_array(plain), plain["digits"], float(plain["tolerance"]))
    _check(plain, _SCALAR_FIELDS, needed={"value", "digits", "tolerance"})
    return Scalar(**plain)


def _check(plain: dict[str, Any], kinds: Mapping[str, type], needed: set[str]) -> None:
    for name in needed - plain.keys():
        raise ValueError(f"it has no {name!r}")
    for name, item in plain.items():
        kind = kinds.get(name)
        if kind is None:
            raise ValueError(f"{name!r} is unknown")
        is_number = isinstance(item, int | float) and not isinstance(item, bool)
        right = is_number and math.isfinite(item) if kind is float else type(item) is kind
        if not right:
            raise ValueError(f"its {name} is {item!r}")


def _array(plain: dict[str, Any]) -> np.ndarray:
    rows = [[math.nan if x is None else x for x in row] for row in plain["array"]]
    values = np.array(rows)
    if values.size and values.dtype.kind not in "iufb":
        raise ValueError("it holds something that is no number")
    return values.reshape(plain["shape"])


def _run(path: Path, name: str, plain: dict[str, Any]) -> LockedRun:
    try:
        stages = {stage: Cost(**cost) for stage, cost in plain["stages"].items()}
        confirmed = plain.get("confirmed")
        if confirmed is not None:
            confirmed = Confirmation(**{**confirmed, "abi": NumericABI(**confirmed["abi"])})
        typed = {"abi": NumericABI(**plain["abi"]), "stages": stages, "confirmed": confirmed}
        return LockedRun(**{**plain, **typed})
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}{_line_of(path, name)}: {name}: {error}; {_REMEDY}") from None


def _line_of(path: Path, text: str) -> str:
    """`:12` for the first line with the first word of a text; nothing if there is none."""
    word = f'"{text.partition(" ")[0]}"'
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        if word in line:
            return f":{number}"
    return ""
