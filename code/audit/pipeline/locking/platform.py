"""How far apart numeric ABIs were seen, which counts beside the locked tolerances.

    data/locked/<profile>/platform.json    one address a line

The code that measures a value gives its tolerance, from the spread over seeds. But training can
amplify the last bit of a processor's arithmetic to another draw of dictionaries, and two machines
then differ by more. What was seen is recorded here, with the machine that it was seen on, and
`FACTOR` times as much is allowed. The locked value and its tolerance stay as they are.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError

FACTOR = 1.5
"""A third machine is another draw: it may lie somewhat farther out than the second did."""
FILE = "platform.json"


@dataclass(frozen=True)
class Spread:
    """The largest differences seen at one address between two numeric ABIs."""

    value: float = 0.0
    """Of the value, its chance level, or any element of an array."""
    end: float = 0.0
    """Of either end of its interval."""
    abi: str = ""
    """The machine that differed from the one that gave the locked value."""

    @property
    def allowed_value(self) -> float:
        """The difference of values that it allows."""
        return FACTOR * self.value

    @property
    def allowed_end(self) -> float:
        """The difference of ends of intervals that it allows."""
        return FACTOR * self.end

    def or_larger(self, other: "Spread") -> "Spread":
        """The larger of both in each respect; the machine of the one that is larger anywhere."""
        grown = other.value > self.value or other.end > self.end
        return Spread(
            max(self.value, other.value),
            max(self.end, other.end),
            other.abi if grown else self.abi,
        )


def spread_between(new: object, locked: object, abi: str) -> Spread | None:
    """How far a new value lies from the locked one; None where it is no number apart."""
    if isinstance(new, Scalar) and isinstance(locked, Scalar):
        value = max(_apart(new, locked, name) for name in ("value", "chance"))
        end = max(_apart(new, locked, name) for name in ("low", "high"))
    elif isinstance(new, Array) and isinstance(locked, Array):
        if new.values.shape != locked.values.shape:
            return None
        now, before = new.values.astype(float), locked.values.astype(float)
        gap = np.isnan(now) & np.isnan(before)
        value, end = float(np.max(np.where(gap, 0.0, np.abs(now - before)), initial=0.0)), 0.0
    else:
        return None
    return Spread(value, end, abi) if isfinite(value) and isfinite(end) else None


def _apart(new: Scalar, locked: Scalar, name: str) -> float:
    now, before = getattr(new, name), getattr(locked, name)
    if now is None and before is None:
        return 0.0
    return float("nan") if now is None or before is None else abs(now - before)


def read_spreads(folder: Path) -> dict[str, Spread]:
    """The spreads recorded for a profile; none where no file is there.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return {address: Spread(**spread) for address, spread in plain.items()}
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{path}: {error}; restore it from the repository") from None


def as_text(spreads: Mapping[str, Spread]) -> str:
    """The file's content: one address a line, sorted."""
    lines = [
        f"{json.dumps(address)}: {json.dumps(_rounded(spreads[address]), ensure_ascii=False)}"
        for address in sorted(spreads)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(spread: Spread) -> dict:
    plain = asdict(spread)
    return plain | {name: float(f"{plain[name]:.3g}") for name in ("value", "end")}
