"""Compilation of the loops in `kernels`, and the cache of their machine code."""

import hashlib
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

from numba import config as numba_config
from numba import njit

_settings: Any = numba_config  # its settings are attributes that appear when it is imported

# Sums may be vectorized and multiply-adds fused. NaN keeps its semantics, so that a loss that is
# not finite is detected.
_REORDER = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on first use, without the GIL, and cache the machine code on disk.

    `NUMBA_CPU_NAME`, which `numerics.pinning` pins, selects the target processor. If it is unset,
    the target is this machine's processor, and the last bits of results depend on it. Without a
    writable folder, every process compiles again.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER, "error_model": "numpy"}
    folder, usual = _folder(), _settings.CACHE_DIR
    if folder is None:
        return _compiles_whole(njit(**options)(function))
    _settings.CACHE_DIR = str(folder)
    try:
        return _compiles_whole(njit(cache=True, **options)(function))
    finally:
        _settings.CACHE_DIR = usual


def is_cold() -> bool:
    """Whether nothing of this code has been compiled on this machine, or none can be kept."""
    folder = _folder()
    return folder is None or not any(folder.iterdir())


def _compiles_whole(dispatcher: Any) -> Any:
    """Have Ctrl-C wait until a function is compiled, or read from the cache.

    Both happen in callbacks from C, which ignore exceptions: the program would go on.
    """
    compile_one = dispatcher.compile

    @wraps(compile_one)
    def compile_whole(signature: Any) -> Any:
        with _interrupts_wait():
            return compile_one(signature)

    dispatcher.compile = compile_whole
    return dispatcher


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    usual = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual or signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.SIGINT)


@cache
def _folder() -> Path | None:
    """Cache folder, one per state of all kernels' code.

    numba itself checks only the file of a function, not the functions that it calls elsewhere, nor
    the compiler options.
    """
    here = Path(__file__).parent
    files = [Path(__file__), *sorted(here.glob("*/kernels/*.py"))]
    code = b"".join(path.read_bytes() for path in files)
    name = f"kernels-{hashlib.sha256(code).hexdigest()[:12]}"
    roots = [here / "__pycache__", Path("~/.cache/seedstability")]
    if _settings.CACHE_DIR:
        roots.insert(0, Path(_settings.CACHE_DIR))
    for root in roots:
        try:
            folder = root.expanduser() / name
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):  # RuntimeError: no HOME, and a user without an entry
            continue
        return folder
    return None
