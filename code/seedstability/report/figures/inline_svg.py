"""Figures as inline SVG for an HTML page: reproducible bytes, unique ids."""

import io
import re
from html import escape

from matplotlib.figure import Figure

from seedstability.report.figures import style

# Text as outlines: the reader may not have the font, and labels must not move.
# Without all four, matplotlib writes metadata with a date and URLs.
_UNDATED = {"Date": None, "Creator": None, "Format": None, "Type": None}
# Figures use the small type of print; screens are read from farther away.
_PIXELS_PER_INCH = 96 * 1.3
# A narrow screen may shrink a figure to this; beyond that it scrolls.
_FEWEST_PIXELS_PER_INCH = 96 * 0.9


def markup(figure: Figure, name: str, description: str) -> str:
    """Render a figure as an `<svg>` element.

    Args:
        figure: to be rendered.
        name: unique on the page; the prefix of every id inside.
        description: text alternative for screen readers.
    """
    buffer = io.StringIO()
    with style.in_style(**{"svg.fonttype": "path", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=_UNDATED)
    body = re.sub(r"^.*?<svg[^>]*>", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    # matplotlib's style rule would apply to the whole page; comments repeat labels.
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
