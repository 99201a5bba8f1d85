"""Which files were compared with their hash already, so that nothing untouched is read twice.

As in git's index, a file is known by size, inode and times. The time of the last change of the
inode cannot be set back, so an edit shows even where the modification time is restored.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from seedstability.files import write_whole

Stamp = list[int]


class Verified:
    """The stamps of files at the moment when they were found whole."""

    def __init__(self, index: Path):
        """Remember what an earlier process noted in the file `index`, if there is one."""
        self._index = index
        self._known: dict[str, Stamp] | None = None
        self._changed = False

    def holds(self, path: Path) -> bool:
        """Whether the file was found whole and not touched since.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._stamps().get(path.name) == _stamp(path)

    def add(self, path: Path, compare: Callable[[Path], None]) -> None:
        """Note the file as whole if `compare`, which reads it, does not raise."""
        stamp = _stamp(path)
        compare(path)
        self._stamps()[path.name] = stamp
        self._changed = True

    def save(self) -> None:
        """Leave it for later processes. Where that fails they read again; nothing else is lost."""
        if not self._changed:
            return
        with contextlib.suppress(OSError):
            write_whole(self._index, json.dumps(self._stamps()))
            self._changed = False

    def _stamps(self) -> dict[str, Stamp]:
        if self._known is None:
            try:
                self._known = dict(json.loads(self._index.read_text()))
            except (OSError, ValueError):
                self._known = {}
        return self._known


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
