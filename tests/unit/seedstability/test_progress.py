"""Progress of nested computations, as a listener receives it."""

import io
import sys

import pytest

from seedstability import progress
from seedstability.terminal import progress_bar


@pytest.fixture
def heard():
    shares: list[float] = []
    progress.listen(shares.append)
    yield shares
    progress.listen(None)


def test_nested_steps_scale_progress(heard):
    for done in range(2):
        with progress.step(done, 2):
            progress.report(1, 2)
            with progress.step(1, 2):
                progress.report(1, 2)
    progress.report(1, 1)
    assert heard == pytest.approx([0.25, 0.375, 0.75, 0.875, 1.0])


def test_a_failing_step_restores_the_outer_progress(heard):
    with pytest.raises(ValueError, match="broken"), progress.step(0, 4):
        raise ValueError("broken")
    progress.report(1, 1)
    assert heard == [1.0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_only_on_a_terminal(monkeypatch):
    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress_bar("matching"):
            progress.report(1, 2)
        assert ("matching" in stream.getvalue()) == drawn


def test_an_existing_listener_receives_progress_without_a_bar(heard, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with progress_bar("matching"):
        progress.report(1, 2)
    assert heard == [0.5]
    assert stream.getvalue() == ""
