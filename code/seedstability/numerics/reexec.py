"""A whole command under the environment that fixes the bits, as stages have it in their workers."""

import os
import sys

from seedstability.numerics import pinning


def reexec_pinned() -> int:
    """Replace this process by the same command with all pinned, unless it has that already.

    The variables are read when NumPy and torch are loaded, which may have happened.

    Returns:
        The number of threads to compute with.
    """
    threads = usable_threads()
    wanted = pinning.environment(threads)
    # Only products in half precision are oneDNN's, and matching takes them for a first look alone:
    # what it finds is computed again. Pinned they would be slower than float32.
    wanted.pop("ONEDNN_MAX_CPU_ISA", None)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted})
    return threads


def usable_threads() -> int:
    """As many as this process may use, or as it is told to; no bit depends on it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else len(os.sched_getaffinity(0))
