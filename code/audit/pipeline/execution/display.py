"""How a run shows itself: bars on a terminal, one line a stage elsewhere, or nothing."""

import sys
from typing import Any, Protocol, TextIO

from seedstability.terminal import bars_on, duration


class Display(Protocol):
    """What an execution tells."""

    def begin(self, stages: int) -> None:
        """So many stages will run."""

    def started(self, stage: str) -> None:
        """A stage begins."""

    def progressed(self, stage: str, share: float) -> None:
        """It is so far, in [0, 1]."""

    def finished(self, stage: str, how: str) -> None:
        """It is done; `how` says at what cost."""

    def left(self, seconds: float) -> None:
        """The whole run may take so much longer."""

    def note(self, text: str) -> None:
        """A line to keep."""

    def end(self) -> None:
        """Nothing more will come."""


class Quiet:
    """Shows nothing."""

    def begin(self, stages: int) -> None:
        """Nothing."""

    def started(self, stage: str) -> None:
        """Nothing."""

    def progressed(self, stage: str, share: float) -> None:
        """Nothing."""

    def finished(self, stage: str, how: str) -> None:
        """Nothing."""

    def left(self, seconds: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines(Quiet):
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


class Bars(Quiet):
    """A bar for the run and one for each stage at work, on a terminal."""

    def __init__(self, stream: TextIO | None = None):
        """Draw on `stream`, standard error if left out."""
        self._stream = stream or sys.stderr
        self._progress: Any = None
        self._bars: dict[str, Any] = {}

    def begin(self, stages: int) -> None:
        """Draw the run's own bar."""
        self._progress = bars_on(self._stream)
        self._whole = self._progress.add_task(f"{stages} stages", total=stages, right="")
        self._progress.start()

    def started(self, stage: str) -> None:
        """Add its bar."""
        self._bars[stage] = self._progress.add_task(stage, total=1.0, right="")

    def progressed(self, stage: str, share: float) -> None:
        """Move its bar."""
        self._progress.update(self._bars[stage], completed=share, right=f"{share:.0%}")

    def finished(self, stage: str, how: str) -> None:
        """Take its bar away and keep a line."""
        self._progress.remove_task(self._bars.pop(stage))
        self._progress.advance(self._whole)
        self.note(f"{stage}: {how}")

    def left(self, seconds: float) -> None:
        """Show it beside the run's bar."""
        self._progress.update(self._whole, right=f"about {duration(seconds)} left")

    def note(self, text: str) -> None:
        """Keep a line above the bars."""
        if self._progress is None:
            print(text, file=self._stream, flush=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Take the bars away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def suited_display(stream: TextIO | None = None) -> Display:
    """Bars where somebody watches, lines where it goes to a file or a pipe."""
    stream = stream or sys.stderr
    return Bars(stream) if stream.isatty() else Lines(stream)
