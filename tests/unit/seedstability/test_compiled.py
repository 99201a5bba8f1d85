"""Cache of compiled loops: one folder per state of the code, or none."""

import os
import subprocess
import sys
from pathlib import Path

from helpers.repository import CODE

SCRIPT = """
import numpy as np
from seedstability.dictionaries.kernels.selection import count_above
counts = count_above(np.arange(9, dtype=np.float32)[None], np.zeros(9, np.float32))
print(counts[0], sum(count_above.stats.cache_hits.values()))
"""


def run(code: Path, script: str = SCRIPT, **environment: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


def copied(tmp_path: Path) -> Path:
    here = CODE / "seedstability"
    code = tmp_path / "code"
    for part in ("__init__.py", "compiled.py", "dictionaries/__init__.py", *sorted_kernels(here)):
        (code / "seedstability" / part).parent.mkdir(parents=True, exist_ok=True)
        (code / "seedstability" / part).write_bytes((here / part).read_bytes())
    return code


def sorted_kernels(here: Path) -> list[str]:
    return [str(path.relative_to(here)) for path in sorted(here.glob("*/kernels/*.py"))]


def test_machine_code_is_cached_until_any_kernel_changes(tmp_path):
    code, kept = copied(tmp_path), tmp_path / "kept"
    settings = {"NUMBA_CACHE_DIR": str(kept)}
    assert run(code, **settings) == ["8", "0"]
    assert run(code, **settings) == ["8", "1"]
    # numba itself notices only edits in the function's own file
    others = ("compiled.py", "dictionaries/kernels/descent.py", "stability/kernels/assignment.py")
    for edited, other in enumerate(others, start=1):
        path = code / "seedstability" / other
        path.write_text(path.read_text() + "# edited\n")
        assert run(code, **settings) == ["8", "0"]
        assert len(list(kept.iterdir())) == 1 + edited


def test_kernels_run_without_a_writable_folder(tmp_path):
    code = copied(tmp_path)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, so no folder can be made below it")
    (code / "seedstability" / "__pycache__").write_text("likewise")
    settings = {"NUMBA_CACHE_DIR": str(blocked / "x"), "HOME": str(blocked)}
    assert run(code, **settings) == ["8", "0"]


NAMELESS = """
import os, pwd
def none(user):
    raise KeyError(user)
pwd.getpwuid = none
os.environ.pop("HOME", None)
"""


def test_kernels_run_for_a_user_without_a_name_or_a_home(tmp_path):
    code = copied(tmp_path)
    (code / "seedstability" / "__pycache__").write_text("a file, so no folder can be made here")
    assert run(code, NAMELESS + SCRIPT) == ["8", "0"]


INTERRUPTED = """
import signal
import numpy as np
from numba.core import event
from seedstability.dictionaries.kernels.selection import keep_largest

class Interrupt(event.Listener):
    def on_start(self, event):
        signal.raise_signal(signal.SIGINT)
    on_end = on_start

# A background job starts with SIGINT ignored, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
event.register("numba:compile", Interrupt())
latents, values = np.empty((1, 1), np.int32), np.empty((1, 1), np.float32)
try:
    keep_largest(np.arange(9, dtype=np.float32)[None], 1, latents, values)
except KeyboardInterrupt:
    print("interrupted", len(keep_largest.signatures))
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_an_interrupt_while_a_kernel_is_compiled_comes_after_it(tmp_path):
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert run(copied(tmp_path), INTERRUPTED, **settings) == ["interrupted", "1"]
