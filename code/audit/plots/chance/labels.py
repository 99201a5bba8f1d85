"""Place labels of points without overlap."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

Segment = tuple[tuple[float, float], tuple[float, float]]

_DISTANCES = (6.0, 12.0, 20.0, 30.0, 42.0, 56.0)
# A label beside its point is preferred, as readers expect it; above or below comes last.
_ANGLES = np.deg2rad((0, 180, 30, -30, 150, 210, 60, -60, 120, 240, 90, 270))
# A label over another label is unreadable, and over a thin line it is not.
_COST_OF_COVERING, _COST_OF_CROSSING = 1000.0, 8.0
_LEADER_LINE_FROM = 15.0


def label_points(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    texts: Sequence[str],
    avoid: Sequence[Artist] = (),
    lines: Sequence[Segment] = (),
) -> None:
    """Label points greedily, each at the nearest free place.

    Limits and sizes of the axes must be final. A label far from its point gets a leader line.

    Args:
        axes: the axes of the points.
        x: x coordinates in data units.
        y: y coordinates in data units.
        texts: one label per point.
        avoid: artists that must not be covered, such as the legend.
        lines: drawn lines, by their ends in data units, that labels should not cross.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    pixels = axes.transData.transform(np.column_stack([x, y]))
    radius = 4.0 * figure.dpi / 72
    taken = [Bbox([point - radius, point + radius]) for point in pixels]
    taken += [artist.get_window_extent(renderer) for artist in avoid]
    crossed = [dot for line in lines for dot in _dots(axes, line)]
    for position, text in zip(zip(x, y, strict=True), texts, strict=True):
        label = axes.annotate(
            text,
            position,
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=7,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.45", "shrinkB": 4},
        )
        frame = axes.get_window_extent(renderer)
        _, place = min(
            (_cost(_box(label, place, renderer), frame, taken, crossed) + place[0], place)
            for place in product(_DISTANCES, range(len(_ANGLES)))
        )
        taken.append(_box(label, place, renderer))
        assert label.arrow_patch is not None
        label.arrow_patch.set_visible(place[0] > _LEADER_LINE_FROM)


def _cost(box: Bbox, frame: Bbox, taken: list[Bbox], crossed: list[Any]) -> float:
    covered = sum(box.overlaps(other) for other in taken)
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    crossings = sum(box.contains(*dot) for dot in crossed)
    return _COST_OF_COVERING * (covered + (not inside)) + _COST_OF_CROSSING * bool(crossings)


def _box(label: Annotation, place: tuple[float, int], renderer: Any) -> Bbox:
    """Move a label to a place, and return the box that it covers."""
    distance, angle = place[0], _ANGLES[place[1]]
    right, up = np.cos(angle), np.sin(angle)
    label.set_horizontalalignment(_side(right, "left", "center", "right"))
    label.set_verticalalignment("center" if abs(up) < 0.9 else _side(up, "bottom", "", "top"))
    label.set_position((distance * right, distance * up))
    label.update_positions(renderer)
    # The annotation's own extent would include the leader line.
    return Text.get_window_extent(label, renderer).padded(1.5)


def _side(direction: float, positive: str, none: str, negative: str) -> Any:
    return none if abs(direction) < 0.1 else positive if direction > 0 else negative


def _dots(axes: Axes, line: Segment) -> Iterator[Any]:
    start, end = axes.transData.transform(line)
    # The dots are closer than the height of a line of type.
    count = int(np.hypot(*(end - start)) / 4.0) + 2
    yield from np.linspace(start, end, count)
