"""How a run shows itself: bars on a terminal, one line a stage elsewhere, or nothing."""

import sys
from typing import Any, TextIO

from seedstability.terminal import duration, print_above, progress_bars


class Display:
    """What an execution reports to; it shows nothing."""

    def begin(self, stages: int) -> None:
        """Take the number of stages that will run."""

    def started(self, stage: str) -> None:
        """Take note that a stage begins."""

    def progressed(self, stage: str, share: float) -> None:
        """Take its progress in [0, 1]."""

    def finished(self, stage: str, how: str) -> None:
        """Take note that it ended; `how` says at what cost."""

    def left(self, seconds: float) -> None:
        """Take the estimated time left for the whole run."""

    def note(self, text: str) -> None:
        """Show a line that stays."""

    def end(self) -> None:
        """End the display."""


class Lines(Display):
    """One line a finished stage, for a log."""

    def __init__(self, stream: TextIO | None = None):
        """Write to `stream`, standard error if left out."""
        self._stream = stream or sys.stderr
        self._count = self._total = 0
        self._left = ""

    def begin(self, stages: int) -> None:
        """Remember how many there are."""
        self._total = stages

    def left(self, seconds: float) -> None:
        """Remember it for the next line."""
        self._left = f", about {duration(seconds)} left"

    def finished(self, stage: str, how: str) -> None:
        """Print the line."""
        self._count += 1
        left = self._left if self._count < self._total else ""
        self.note(f"[{self._count}/{self._total}] {stage}: {how}{left}")

    def note(self, text: str) -> None:
        """Print it."""
        print(text, file=self._stream, flush=True)


class Bars(Display):
    """A bar for the run and one for each stage at work, on a terminal."""

    def __init__(self, stream: TextIO | None = None):
        """Draw on `stream`, standard error if left out."""
        self._stream = stream or sys.stderr
        self._progress: Any = None
        self._bars: dict[str, Any] = {}

    def begin(self, stages: int) -> None:
        """Draw the run's own bar."""
        self._progress = progress_bars(self._stream)
        self._whole = self._progress.add_task(f"{stages} stages", total=stages, right="")
        self._progress.start()

    def started(self, stage: str) -> None:
        """Add its bar."""
        self._bars[stage] = self._progress.add_task(stage, total=1.0, right="")

    def progressed(self, stage: str, share: float) -> None:
        """Move its bar."""
        self._progress.update(self._bars[stage], completed=share, right=f"{share:.0%}")

    def finished(self, stage: str, how: str) -> None:
        """Replace its bar by a line."""
        self._progress.remove_task(self._bars.pop(stage))
        self._progress.advance(self._whole)
        self.note(f"{stage}: {how}")

    def left(self, seconds: float) -> None:
        """Show it beside the run's bar."""
        self._progress.update(self._whole, right=f"about {duration(seconds)} left")

    def note(self, text: str) -> None:
        """Keep a line above the bars."""
        print_above(self._progress, text, self._stream)

    def end(self) -> None:
        """Remove the bars."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def suited_display(stream: TextIO | None = None) -> Display:
    """Choose bars on a terminal, lines in a file or a pipe."""
    stream = stream or sys.stderr
    return Bars(stream) if stream.isatty() else Lines(stream)
