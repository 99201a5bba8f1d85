"""Progress bars with the remaining time on a terminal; none if the output is piped."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from seedstability import progress


class Phases:
    """Receives the phases of a computation and shows nothing.

    Progress within a phase goes to `progress.listen`.
    """

    def phase(self, name: str) -> None:
        """Start the next phase."""

    def note(self, text: str) -> None:
        """Show a line."""

    def hint(self, text: str) -> None:
        """Show a line to who waits."""


class PhaseProgress(Phases):
    """Context that shows the progress of one computation, phase by phase."""

    def __init__(self, stream: TextIO | None = None):
        """Draw on `stream`, by default standard error."""
        self._stream = stream or sys.stderr
        self._bar: Any = None
        self._phase: Any = None
        self._since = 0.0

    def __enter__(self) -> Phases:
        if self._stream.isatty():
            self._bar = progress_bars(self._stream)
            self._bar.start()
        # Without a terminal too: otherwise inner computations would draw their own bars.
        progress.listen(self._at)
        return self

    def __exit__(self, *how: object) -> None:
        progress.listen(None)
        if self._bar is not None:
            self._bar.stop()

    def phase(self, name: str) -> None:
        """Draw its bar."""
        if self._bar is None:
            return
        if self._phase is not None:
            self._bar.remove_task(self._phase)
        self._phase, self._since = self._bar.add_task(name, total=1.0, right=""), time.monotonic()

    def note(self, text: str) -> None:
        """Print a line, on a terminal or into a pipe."""
        print_above(self._bar, text, self._stream)

    def hint(self, text: str) -> None:
        """Print a line on a terminal, nothing into a pipe."""
        if self._bar is not None:
            self.note(text)

    def _at(self, share: float) -> None:
        if self._bar is None or self._phase is None or share <= 0:
            return
        left = (time.monotonic() - self._since) * (1.0 - share) / share
        self._bar.update(self._phase, completed=share, right=f"about {duration(left)} left")


@contextmanager
def progress_bar(title: str) -> Iterator[None]:
    """Show the progress of this context on a terminal, unless there is a listener already."""
    if progress.has_listener() or not sys.stderr.isatty():
        yield
        return
    with PhaseProgress() as phases:
        phases.phase(title)
        yield


def progress_bars(stream: TextIO) -> Any:
    """Transient rich progress bars with a name, the bar, and the field `right`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[right]}", markup=False),
    )
    return Progress(*columns, console=Console(file=stream), transient=True)


def print_above(bars: Any, text: str, stream: TextIO) -> None:
    """Print a line that stays above the bars, or, without bars, into a pipe."""
    if bars is None:
        print(text, file=stream, flush=True)
    else:
        bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Format a time: `12 s`, `3 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
