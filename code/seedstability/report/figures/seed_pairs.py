"""Figure: heat map of one similarity of all pairs of dictionaries, with its values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from seedstability.report.figures import style

# A smaller range would show differences in the third digit as black and white.
_SMALLEST_SPAN = 0.1
# Up to this many dictionaries three digits do not crowd a cell.
_THREE_DIGITS_UP_TO = 10
_ROOMY_UP_TO = 8
# With more, numbers would overlap; only colors are drawn.
_NUMBERS_UP_TO = 20
_LONGEST_LABEL = 14
# matplotlib's font has letters up to here; others would be empty boxes.
_LAST_LETTER = 0x24F


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Draw one cell per pair of dictionaries with its value; pairs not compared stay empty.

    Args:
        data: `names`, one label per dictionary; `values`, S rows of S values, None or NaN for a
            pair that was not compared; and `what`, the name of the scale.

    Returns:
        The figure, two thirds of the text width for up to 13 dictionaries, full width for 20.
    """
    values = np.array(data["values"], float)
    n_seeds = len(values)
    width = float(np.clip(0.07 + 0.046 * n_seeds, 0.68, 1.0))
    figure = style.page_figure(width=width, height=0.86 * width if n_seeds > 2 else 0.36)
    axes = figure.subplots()
    span = _span(values)
    # cividis increases monotonically in lightness, also in grayscale and for color blindness.
    cells = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap="cividis", norm=span, edgecolors="white", linewidth=0.6
    )
    if n_seeds <= _NUMBERS_UP_TO:
        _print(axes, values, span)
    _name(axes, [_label(name) for name in data["names"]])
    figure.colorbar(cells, ax=axes, label=data["what"], shrink=0.8, aspect=30, pad=0.02)
    return figure


def _span(values: np.ndarray) -> Normalize:
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    room = max(0.0, _SMALLEST_SPAN - (high - low)) / 2
    return Normalize(low - room, high + room)


def _print(axes: Axes, values: np.ndarray, span: Normalize) -> None:
    digits = 3 if len(values) <= _THREE_DIGITS_UP_TO else 2
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{value:.{digits}f}".replace("0.", ".", 1),
            ha="center",
            va="center",
            fontsize=9 if len(values) <= _ROOMY_UP_TO else style.SMALLEST_TYPE,
            color="white" if span(value) < 0.5 else "black",
        )


def _name(axes: Axes, names: list[str]) -> None:
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, names, rotation=90 if len(names) > 5 else 0)
    axes.set_yticks(middles, names)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(name: str) -> str:
    """Shorten a name, and replace letters that the font does not have."""
    drawn = "".join(c if c.isprintable() and ord(c) <= _LAST_LETTER else "?" for c in name)
    half = _LONGEST_LABEL // 2
    short = drawn if len(drawn) <= _LONGEST_LABEL else f"{drawn[:half]}…{drawn[1 - half :]}"
    # matplotlib would typeset text between two dollar signs as mathematics.
    return short.replace("$", r"\$")
