"""Style of all figures: print sizes, type, and markers that work without color.

Colors are those of Okabe and Ito (2008), ordered so that neighbors also differ in lightness.
Series differ in marker and line as well, so that color never carries a meaning alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

# \textwidth of paper/manuscript.tex, 160 mm: figures are included at their natural size.
TEXT_WIDTH_INCHES = 160 / 25.4
SMALLEST_TYPE = 7.0

# Any: matplotlib types its settings by name.
SETTINGS: Any = {
    # Type 42 keeps text searchable, with one font per figure instead of one per size.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "seedstability",
    "text.usetex": False,
    # Ships with matplotlib, so it is the same file on every machine.
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "figure.constrained_layout.use": True,
}


class Series(NamedTuple):
    """Color, marker and line of one series of a figure."""

    color: str
    marker: str
    line: Any


SERIES: tuple[Series, ...] = (
    Series("#0072B2", "o", "-"),
    Series("#D55E00", "s", (0, (5, 1.5))),
    Series("#009E73", "^", (0, (1, 1))),
    Series("#CC79A7", "D", (0, (4, 1.2, 1, 1.2))),
    Series("#E69F00", "v", (0, (7, 1.5, 1, 1.5, 1, 1.5))),
    Series("#56B4E9", "P", (0, (2, 2))),
    Series("#000000", "X", (0, (8, 3))),
)
CHANCE_COLOR = "#595959"


@contextmanager
def in_style(**more: Any) -> Iterator[None]:
    """Draw with `SETTINGS`, these, and matplotlib's defaults: nothing from the user's matplotlibrc
    or session, which are unchanged afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS | more)
        yield


def printed(draw: Callable[[Mapping[str, Any]], Figure]) -> Callable[[Mapping[str, Any]], Figure]:
    """Decorate a `draw` function to run in this style."""

    @wraps(draw)
    def drawn_in_style(data: Mapping[str, Any]) -> Figure:
        with in_style():
            return draw(data)

    return drawn_in_style


def page_figure(width: float = 1.0, height: float = 0.5) -> Figure:
    """Create an empty figure.

    Args:
        width: as a share of the text width.
        height: as a share of the text width.
    """
    # Not pyplot, which keeps every figure in a global list.
    return Figure(figsize=(width * TEXT_WIDTH_INCHES, height * TEXT_WIDTH_INCHES))


def series(index: int) -> Series:
    """Style of the series at an index; styles repeat after the last."""
    return SERIES[index % len(SERIES)]


def sizes_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """Make a logarithmic x axis with these sizes as tick labels."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
