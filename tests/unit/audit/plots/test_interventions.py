"""The figures of the section on interventions: axes are named, and all that was given is drawn."""

import numpy as np
import pytest
from matplotlib.text import Text

from audit.plots.language import interventions, twins
from seedstability.report.figures import style


def curve(values):
    values = np.array(values, float)
    return {"value": values, "low": values - 0.02, "high": values + 0.02}


ROWS = {
    "figure": {
        "rows": {"quoted": "same_start, archetypal, plain, mfr"},
        "names": {"quoted": "shared start, archetypal; own centroids, plain, mutual features"},
        "shared": {"quoted": "start, nothing, nothing, partners"},
        "declared": {"quoted": "plain, same_start, archetypal, mfr"},
        "kappa_gauge": curve([0.5, 0.9, 0.7, 0.4]),
        "start_kappa": curve([0.0, 1.0, 0.7, 0.01]),
        "judge": curve([0.51, 0.5, 0.4, 0.3]),
        "truth": curve([0.81, 0.8, 0.7, 0.75]),
    }
}
TWINS = {
    "figure": {
        "epoch": np.array([0.0, 1.0, 5.0, 20.0]),
        **{
            name: curve(np.linspace(1.0, end, 4))
            for name, end in (
                ("same_latent", 0.6),
                ("twins", 0.8),
                ("with_start", 0.4),
                ("strangers", 0.7),
                ("gauge", 0.45),
            )
        },
    }
}
FIGURES = {"interventions": (interventions, ROWS), "twins": (twins, TWINS)}


@pytest.fixture(params=FIGURES)
def drawn(request):
    module, data = FIGURES[request.param]
    figure = module.draw(data)
    figure.draw_without_rendering()
    return figure


def texts(figure):
    return [each.get_text() for each in figure.findobj(Text) if each.get_visible()]


def test_figures_are_as_wide_as_the_text_and_readable(drawn):
    assert drawn.get_figwidth() == pytest.approx(style.TEXT_WIDTH_INCHES)
    sizes = [each.get_fontsize() for each in drawn.findobj(Text) if each.get_text()]
    assert min(sizes) >= style.SMALLEST_TYPE


def test_no_legend_is_cut_at_the_edge(drawn):
    page = drawn.bbox
    for legend in drawn.legends:
        box = legend.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1


def test_every_axis_is_named(drawn):
    assert all(axes.get_xlabel() for axes in drawn.axes)
    first = drawn.axes[0]
    assert first.get_ylabel() or first.get_yticklabels()


def test_every_row_is_named_and_drawn_with_both_kappas():
    figure = interventions.draw(ROWS)
    left, right = figure.axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["shared start", "archetypal, own centroids", "plain", "mutual features"]
    drawn = [container.lines[0].get_xdata().tolist() for container in left.containers]
    assert drawn == [[0.9, 0.7, 0.5, 0.4], [0.5, 0.4, 0.51, 0.3]]
    (before,) = [line for line in left.lines if "before training" in str(line.get_label())]
    assert before.get_xdata().tolist() == [1.0, 0.7, 0.0, 0.01]
    assert right.containers[0].lines[0].get_xdata().tolist() == [0.8, 0.7, 0.81, 0.75]
    assert "chance" in texts(figure)


def test_the_first_row_is_on_top_and_shared_ones_are_shaded():
    figure = interventions.draw(ROWS)
    low, high = figure.axes[0].get_ylim()
    assert low > high
    shaded = [patch for patch in figure.axes[0].patches if patch.get_height() == 1.0]
    assert len(shaded) == 2


def test_twins_have_all_curves_at_all_epochs():
    figure = twins.draw(TWINS)
    (axes,) = figure.axes
    curves = [container.lines[0].get_ydata() for container in axes.containers]
    assert len(curves) == 4
    np.testing.assert_allclose(curves[0], TWINS["figure"]["same_latent"]["value"])
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["0", "1", "5", "20"]
    assert "one initialization, gauge-scrambled" in texts(figure)
