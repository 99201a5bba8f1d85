"""Standard streams that survive encodings that lack characters, and readers who leave early."""

import io
import os
import sys


class _MayBeUnread(io.FileIO):
    """A file that takes what nobody reads any more, as in `… | head -1`."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def make_output_robust() -> None:
    """Print `?` for what the encoding lacks, and go on to the end when the reader has left.

    The exit status then still says how the work ended. A stream that was closed at the start, as
    by `>&-`, leads nowhere.
    """
    sys.stdout, sys.stderr = _robust(sys.stdout), _robust(sys.stderr)


def _robust(stream):
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # a notebook's or a test's
    stream.flush()
    raw = _MayBeUnread(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "replace", line_buffering=stream.line_buffering
    )


def drop_output() -> None:
    """Send what standard output still holds to nowhere, so that exiting cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
