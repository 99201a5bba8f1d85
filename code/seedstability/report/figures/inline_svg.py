"""A figure as SVG that stands inside an HTML page: same bytes each time, nothing shared by name."""

import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure

from seedstability.report.figures import style

# Letters as outlines: a page may be opened where the font is not, and labels must not move.
_SETTINGS = {**style.SETTINGS, "svg.fonttype": "path"}
# All four, or matplotlib writes a block with a date and with addresses.
_UNDATED = {"Date": None, "Creator": None, "Format": None, "Type": None}
# Figures are drawn for print in small type; a screen is read from further away.
_PIXELS_PER_INCH = 96 * 1.3
# A narrow screen may shrink a figure to this; the rest has to be scrolled to.
_FEWEST_PIXELS_PER_INCH = 96 * 0.9


def markup(figure: Figure, name: str, description: str) -> str:
    """The `<svg>` element of a figure.

    Args:
        figure: what to write.
        name: different for each figure of a page; every id inside begins with it.
        description: what the figure says, for readers who do not see it.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=_UNDATED)
    body = re.sub(r"^.*?<svg[^>]*>", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    # matplotlib's own style rule would hold for the whole page; comments repeat labels.
    body = re.sub(r"<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", body)
    inches = figure.get_size_inches()
    width, height = (round(side * _PIXELS_PER_INCH) for side in inches)
    points = " ".join(f"{72 * side:g}" for side in inches)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' role="img" aria-label="{escape(description)}" width="{width}" height="{height}"'
        f' viewBox="0 0 {points}" style="min-width: {inches[0] * _FEWEST_PIXELS_PER_INCH:.0f}px">'
        f"{body.strip()}"
    )
