"""How the loops in the rooms' `kernels` are compiled, and where the machine code is kept."""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config as numba_config
from numba import njit

_settings: Any = numba_config  # its settings are attributes that appear when it is imported

# Sums may be taken in vector order, products and sums fused; what a NaN does stays as it is, since
# a loss that is not finite has to be noticed.
_REORDER = {"reassoc", "contract", "nsz", "arcp"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use, without the interpreter's lock, and keep the machine code on disk.

    For which processor says `NUMBA_CPU_NAME`, which `numerics.pinning` pins; otherwise it is this
    one, and the last bits are this one's too. Without a folder to write to, each process compiles
    again.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER, "error_model": "numpy"}
    folder, usual = _folder(), _settings.CACHE_DIR
    if folder is None:
        return njit(**options)(function)
    _settings.CACHE_DIR = str(folder)
    try:
        return njit(cache=True, **options)(function)
    finally:
        _settings.CACHE_DIR = usual


@cache
def _folder() -> Path | None:
    """One for each state of the kernels' code: numba itself looks only at the file that a
    function is in, and not at what that calls elsewhere or how it is compiled."""
    here = Path(__file__).parent
    files = [Path(__file__), *sorted(here.glob("*/kernels/*.py"))]
    code = b"".join(path.read_bytes() for path in files)
    name = f"kernels-{hashlib.sha256(code).hexdigest()[:12]}"
    roots = [here / "__pycache__", Path.home() / ".cache" / "seedstability"]
    if _settings.CACHE_DIR:
        roots.insert(0, Path(_settings.CACHE_DIR))
    for root in roots:
        try:
            (root / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=root / name).close()
        except OSError:
            continue
        return root / name
    return None
