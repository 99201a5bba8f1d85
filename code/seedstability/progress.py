"""Progress of long computations, reported to a listener."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listener: Callable[[float], None] | None = None
_span = (0.0, 1.0)


def listen(listener: Callable[[float], None] | None) -> None:
    """Send this process's progress, a share in [0, 1], to `listener`; `None` stops it."""
    global _listener
    _listener = listener


def has_listener() -> bool:
    """Whether somebody listens."""
    return _listener is not None


def report(done: float, total: float) -> None:
    """Report that `done` of `total` equal steps are finished. Free without a listener."""
    if _listener is not None:
        start, stop = _span
        _listener(start + (stop - start) * done / total)


@contextmanager
def step(done: float, total: float) -> Iterator[None]:
    """Scale reports within this context to one step, the one after `done` of `total` steps."""
    global _span
    before = start, stop = _span
    width = (stop - start) / total
    _span = (start + done * width, start + (done + 1) * width)
    try:
        yield
    finally:
        _span = before
