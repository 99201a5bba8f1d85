"""Similarity over tokens or sizes, with one thing held equal per column."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from seedstability.report.figures import marks, style
from seedstability.stability.statistics.equivalence import EQUIVALENCE_MARGIN

_COLUMNS = {
    "equal_epochs": ("equal passes over the tokens", "distinct tokens"),
    "equal_seen": ("equal tokens seen", "distinct tokens"),
    "equal_tokens": ("equal tokens", "latents $n$"),
    "equal_updates": ("equal updates a latent", "latents $n$"),
}
_KAPPAS = {"live": "κ, live latents", "full": "κ, all latents"}


@style.printed
def draw(data: Mapping[str, Any]) -> Figure:
    """Plot the matched median with chance levels, κ of the matched mean, and training progress.

    Args:
        data: by sweep, two of `equal_epochs`, `equal_seen`, `equal_tokens` and `equal_updates`:
            `at`, N values of the factor; `curves` by scope (`live`, `full`) and statistic, each
            with arrays of N values: `value`, `low`, `high`, the levels of `marks.LEVELS`, and
            `kappa_value`, `kappa_low`, `kappa_high` against the gauge level; `frequency_matched`
            with the same three; `explained_variance`, `dead_fraction` and `cosine_with_start`.

    Returns:
        The figure, as wide as the text: one column per sweep.
    """
    figure = style.page_figure(height=0.92)
    sweeps = [name for name in _COLUMNS if name in data]
    grid = figure.subplots(3, len(sweeps), height_ratios=(3, 3, 2), sharex="col", sharey="row")
    for column, name in enumerate(sweeps):
        similarity, corrected, reached = grid[:, column]
        title, factor = _COLUMNS[name]
        _levels(similarity, data[name])
        _kappa(corrected, data[name])
        _reached(reached, data[name])
        similarity.set_title(title)
        reached.set_xlabel(factor)
        _axis(reached, data[name]["at"])
    grid[0, 0].set_ylabel("live latents:\nmedian matched cosine")
    grid[1, 0].set_ylabel("mean matched cosine:\n$\\kappa$ against gauge")
    grid[2, 0].set_ylabel("share")
    marks.start_at_zero(grid[0, 0])
    marks.start_at_zero(grid[1, 0])
    figure.legend(*marks.legend_entries(*grid[:, 0]), loc="outside upper left", ncols=4)
    return figure


def _levels(axes: Axes, sweep: Mapping[str, Any]) -> None:
    curve = sweep["curves"]["live"]["matched_median"]
    marks.with_interval(axes, sweep["at"], curve, label="trained", **marks.trained_style())
    for level, name in marks.LEVELS.items():
        axes.plot(sweep["at"], curve[level], label=name, **marks.level_style(level))


def _kappa(axes: Axes, sweep: Mapping[str, Any]) -> None:
    axes.axhspan(-EQUIVALENCE_MARGIN, EQUIVALENCE_MARGIN, color="0.88", linewidth=0)
    curves = {name: sweep["curves"][scope]["matched_mean"] for scope, name in _KAPPAS.items()}
    curves["κ, live, at the base's rates"] = sweep["frequency_matched"]
    for index, (name, curve) in enumerate(curves.items()):
        look = style.series((0, 4, 6)[index])
        ends = {end: curve[f"kappa_{end}"] for end in ("value", "low", "high")}
        marks.with_interval(
            axes,
            sweep["at"],
            ends,
            label=name,
            color=look.color,
            marker=look.marker,
            linestyle=look.line,
        )


def _reached(axes: Axes, sweep: Mapping[str, Any]) -> None:
    marks.explained_variance(
        axes, sweep["at"], sweep["explained_variance"], label="explained variance"
    )
    for name, label, index in (
        ("dead_fraction", "dead latents", 3),
        ("cosine_with_start", "cosine to initialization", 5),
    ):
        look = style.series(index)
        axes.plot(
            sweep["at"],
            sweep[name],
            label=label,
            color=look.color,
            marker="x" if name == "dead_fraction" else "v",
            linestyle=look.line,
        )


def _axis(axes: Axes, at: Any) -> None:
    style.sizes_axis(axes, at)
    if max(at) > 10_000:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))


def short_count(value: float) -> str:
    """Short tick label such as 128, 33k or 1M, so that labels do not touch."""
    if value >= 1e6:
        return f"{value / 1e6:.0f}M"
    return f"{value / 1e3:.0f}k" if value >= 1e3 else f"{value:.0f}"
