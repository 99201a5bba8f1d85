"""Re-exec a command with the pinned environment."""

import os
import sys

from seedstability.numerics import pinning


def reexec_pinned() -> int:
    """Replace this process by the same command with the pinned environment, unless it is pinned.

    NumPy and torch read the variables when they are loaded, which may have happened already.

    Returns:
        The number of threads to compute with.
    """
    threads = usable_threads()
    wanted = pinning.environment(threads)
    # oneDNN computes only products in half precision. Matching uses them to screen candidates,
    # which are recomputed. Pinned they would be slower than float32.
    wanted.pop("ONEDNN_MAX_CPU_ISA", None)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted})
    return threads


def usable_threads() -> int:
    """Number of threads: OMP_NUM_THREADS, or the available cores. Bits do not depend on it."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else len(os.sched_getaffinity(0))
