"""Figure of section "Pooling"."""

import numpy as np
import pytest

from audit.plots.latents import pooling

KAPPA = np.array([0.45, 0.54, 0.5, 0.61, 0.5, 0.6])
POINTS = {
    "kappa": KAPPA,
    "low": KAPPA - 0.02,
    "high": KAPPA + 0.02,
    "explained_variance": np.linspace(0.82, 0.89, 6),
}
DATA = {"language": {"figure": POINTS}, "planted": {"figure": POINTS}}


def test_every_arm_is_drawn_at_its_values_and_axes_are_labeled():
    figure = pooling.draw(DATA)
    assert [axes.get_title("left") for axes in figure.axes] == ["language model", "planted truth"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "explained variance, held out"
        drawn = [bars.lines[0].get_xydata()[0] for bars in axes.containers]
        np.testing.assert_allclose([y for _, y in drawn], KAPPA)
        np.testing.assert_allclose([x for x, _ in drawn], POINTS["explained_variance"])
        # The axis spans all intervals, but not the empty space down to chance.
        assert KAPPA.min() - 0.1 < axes.get_ylim()[0] < KAPPA.min() - 0.02
    assert "kappa" in figure.axes[0].get_ylabel()


def test_markers_differ_without_color():
    axes = pooling.draw(DATA).axes[0]
    marks = [bars.lines[0].get_marker() for bars in axes.containers]
    assert len(set(marks)) == 6


def test_interval_end_on_the_wrong_side_can_be_drawn():
    odd = POINTS | {"low": KAPPA + 1e-6}
    assert pooling.draw({"language": {"figure": odd}, "planted": {"figure": POINTS}})


def test_missing_arm_raises():
    with pytest.raises(IndexError):
        pooling.draw({**DATA, "planted": {"figure": {name: v[:5] for name, v in POINTS.items()}}})
