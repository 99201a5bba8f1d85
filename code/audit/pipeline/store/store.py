"""Results on disk, one file each, under portable key and numeric ABI.

    build/store/<key>.<abi>.safetensors      a whole result
    build/store/<key>.<abi>.partial          one that is being written, or whose writer was killed
    build/store/<key>.<process>.log          what a stage printed that failed
    build/store/locks/<key>.<abi>            held by the process that computes it, and gone with it

A result appears under its name only when all of it is on disk. One that was cut short or edited
afterwards is as good as missing, and is named.
"""

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from audit.pipeline.graph.keys import Key
from audit.pipeline.results import Tree
from audit.pipeline.store import codec
from audit.pipeline.store.codec import DamagedResult
from audit.pipeline.store.provenance import Provenance
from audit.pipeline.store.verified import Verified
from seedstability.errors import UserError
from seedstability.files import whole_file
from seedstability.numerics.abi import NumericABI

_WHOLE = ".safetensors"
_PARTIAL = ".partial"


@dataclass(frozen=True)
class Entry:
    """One whole result, seen from outside."""

    path: Path
    """Its file."""
    key: Key
    """Portable key, with what it was made from."""
    provenance: Provenance
    """The run that made it."""
    content: str
    """Hash of the result alone: equal for two runs if and only if every bit is."""


class Store:
    """The results of one folder, as seen from one numeric ABI."""

    def __init__(self, root: Path, abi: NumericABI):
        """Nothing is made or written before the first `prepare` or `write`."""
        self.root = root
        self.abi = abi
        self._verified = Verified(root / "verified.json")

    def path(self, key: str) -> Path:
        """Where the result with this portable key lies for this ABI, if it is there."""
        return self.root / f"{key}.{self.abi.digest}{_WHOLE}"

    def has(self, key: str) -> bool:
        """Whether it is there, whole or not."""
        return self.path(key).exists()

    def check(self, key: str) -> None:
        """Compare a result with its hash, once as long as its file stays untouched.

        Raises:
            DamagedResult: it is not what was written.
            FileNotFoundError: it is not there.
        """
        path = self.path(key)
        if not self._verified.holds(path):
            self._verified.add(path, codec.verify)

    def damaged(self, keys: Collection[str]) -> dict[str, str]:
        """Of these keys, those whose result is there but not whole, with what is wrong."""

        def wrong(key: str) -> str | None:
            try:
                self.check(key)
            except DamagedResult as damage:
                return f"{self.path(key)} is damaged: {damage}"
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise UserError(f"{self.path(key)} cannot be read: {error.strerror}") from None
            return None

        # Hashing lets go of the interpreter's lock, so two cores read twice as fast as one.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(keys, pool.map(wrong, keys), strict=True))
        self._verified.save()
        return {key: reason for key, reason in found.items() if reason is not None}

    def load(self, key: str) -> dict:
        """The tree with this key, its arrays mapped from the file.

        Raises:
            DamagedResult: it is not what was written.
            FileNotFoundError: it is not there.
        """
        self.check(key)
        return codec.read(self.path(key), verified=True)

    def entry(self, key: str) -> Entry:
        """Key and provenance of a result; raises as `load`, but reads only the beginning."""
        return _entry(self.path(key))

    def entries(self) -> Iterator[Entry]:
        """All results of all ABIs whose beginning can be read, in no order."""
        for path in self._files(_WHOLE):
            try:
                yield _entry(path)
            except (DamagedResult, OSError):
                continue

    def elsewhere(self, key: str) -> list[Entry]:
        """Results of this key from other numeric ABIs; kept and shown, never taken for ours."""
        paths = [path for path in self._files(_WHOLE) if path.name.startswith(f"{key}.")]
        return [_entry(path) for path in paths if path != self.path(key)]

    def prepare(self) -> None:
        """Make the folders, and see that something can be written there.

        Raises:
            UserError: it cannot.
        """
        with self._told_in_one_line():
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            probe = self.root / f"writable.{os.getpid()}{_PARTIAL}"
            probe.write_bytes(b"?")
            probe.unlink()

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one, among all processes, who computes this result.

        Args:
            key: digest of the portable key.
            waiting: called once if another process holds the lock.
        """
        path = self.root / "locks" / f"{key}.{self.abi.digest}"
        with self._told_in_one_line():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _locked(path, waiting)
        try:
            yield
        finally:
            os.close(descriptor)

    def write(self, key: Key, tree: Tree, provenance: Provenance) -> Path:
        """Put a result there, whole or not at all. The caller holds its lock.

        Raises:
            UserError: the disk is full or read-only, or a `Scalar` is no finite number.
            TypeError: a leaf of a kind that results do not have.
        """
        path = self.path(key.digest)
        about = {"key": key.ingredients(), "provenance": provenance.plain()}
        with self._told_in_one_line():
            self.root.mkdir(parents=True, exist_ok=True)
            # One path a result, so that an attempt writes over what a killed one left.
            with (
                whole_file(path, path.with_suffix(_PARTIAL)) as partial,
                open(partial, "wb") as file,
            ):
                codec.write(file, tree, about)
        return path

    def prune(self, keep: Collection[str] = ()) -> int:
        """Remove all results but those with these portable keys, and what killed runs left.

        Returns:
            The number of bytes that were freed.
        """
        kept, freed = set(keep), 0
        with self._told_in_one_line():
            for path in [*self._files(_WHOLE), *self._files(_PARTIAL), *self._files(".log")]:
                if path.suffix == _WHOLE and path.name.partition(".")[0] in kept:
                    continue
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed

    def _files(self, suffix: str) -> list[Path]:
        return sorted(self.root.glob(f"*{suffix}"))

    @contextmanager
    def _told_in_one_line(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"the store {self.root} cannot be written: {error.strerror or error};"
                " it has to be a folder on a disk with room, that belongs to you"
            ) from error


def _entry(path: Path) -> Entry:
    about = codec.read_about(path)
    try:
        return Entry(
            path=path,
            key=Key.from_ingredients(about["key"]),
            provenance=Provenance.from_plain(about["provenance"]),
            content=about["content"],
        )
    except (KeyError, TypeError) as error:
        raise DamagedResult("its key or provenance is of another version") from error


def _locked(path: Path, waiting: Callable[[], None] | None) -> int:
    """A descriptor that holds the lock until it is closed or its process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
