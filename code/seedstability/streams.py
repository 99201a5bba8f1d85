"""A standard output that survives encodings that lack characters, and readers who leave early."""

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

    The exit status then still says how the work ended.
    """
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return  # a notebook's or a test's
    sys.stdout.flush()
    encoding, line_buffering = sys.stdout.encoding, sys.stdout.line_buffering
    raw = _MayBeUnread(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "replace", line_buffering=line_buffering
    )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")


def drop_output() -> None:
    """Send what standard output still holds to nowhere, so that exiting cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
