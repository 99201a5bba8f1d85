"""Files and folders written whole: under a name lies all of the new, or what was there before.

The new one is written beside its target, flushed to disk and renamed. Where that fails or is
interrupted, it is removed; a killed process leaves a hidden file or folder that ends in `.partial`.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_whole(target: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8; see `whole_file`."""
    with whole_file(target) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(target: Path, partial: Path | None = None) -> Iterator[Path]:
    """Yield the path at which to write; when the block ends, the file there becomes `target`.

    Args:
        target: in a folder that exists. A link stays, and the file it leads to is replaced.
        partial: the path, if no two processes write there at once; left out, a new one.
    """
    target = Path(os.path.realpath(target))
    partial = partial or _beside(target)
    try:
        yield partial
        _flush(partial)
        partial.replace(target)
    except BaseException:  # also on Ctrl-C
        partial.unlink(missing_ok=True)
        raise
    _flush_names(target.parent)


@contextlib.contextmanager
def whole_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Yield a new folder; when the block ends, it becomes `target`.

    Args:
        target: not there, or an empty folder; folders above it are made. A link stays, and so does
            the current folder, whose files are replaced one by one: the user's shell stands there.
        replace: whether a folder that is not empty may be there; it is removed.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(target)
    try:
        partial.mkdir()
        yield partial
        for path in partial.rglob("*"):
            _flush(path)
        if _is_current(target) and (replace or not any(target.iterdir())):
            _move_content(partial, target)
        elif replace and target.is_dir():
            _exchange(partial, target)
        else:
            partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _flush_names(target.parent)


@contextlib.contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file for the length of the block; other processes that ask for it wait.

    Args:
        lock: made if it is not there, in a folder that exists; it stays.
    """
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _exchange(partial: Path, target: Path) -> None:
    earlier = _beside(target)
    target.rename(earlier)
    try:
        partial.rename(target)
    except BaseException:
        earlier.rename(target)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _is_current(folder: Path) -> bool:
    try:
        return folder.samefile(".")
    except OSError:  # one of them is not there
        return False


def _move_content(partial: Path, target: Path) -> None:
    """Replace the files of one flat folder by those of another."""
    new = {path.name for path in partial.iterdir()}
    for path in target.iterdir():
        if path.name not in new:
            path.unlink()
    for name in sorted(new):
        (partial / name).replace(target / name)
    partial.rmdir()


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_names(folder: Path) -> None:
    # The new name is there already; some network file systems cannot flush a folder.
    with contextlib.suppress(OSError):
        _flush(folder)
