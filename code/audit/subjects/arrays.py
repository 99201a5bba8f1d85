"""Rows of numbers, one a seed, pair or epoch, as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def columns(rows: Sequence[Mapping[str, Any]], axis: int = 0, pad: bool = False) -> dict[str, Any]:
    """Stack rows that have the same names: one array a name, mappings within a row likewise.

    Args:
        rows: numbers and arrays by name.
        axis: of the rows in each array.
        pad: extend vectors with NaN to the longest of their name.
    """
    names = rows[0] if rows else ()
    return {name: _column([row[name] for row in rows], axis, pad) for name in names}


def _column(values: list[Any], axis: int, pad: bool) -> Any:
    if isinstance(values[0], Mapping):
        return columns(values, axis, pad)
    if pad:
        longest = max(map(len, values))
        values = [np.pad(each, (0, longest - len(each)), constant_values=np.nan) for each in values]
    return np.stack(values, axis)
