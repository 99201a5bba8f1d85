"""Source files read once: what a key needs to know of each is kept on disk by its content.

Parsing all of our code takes a second.
"""

import contextlib
import hashlib
import json
import sys
from dataclasses import astuple
from functools import cache
from pathlib import Path

from audit.pipeline.graph import definitions
from audit.pipeline.graph.definitions import Definition, Module, read_module
from seedstability.files import write_whole

_MOST_KEPT = 2000


class ParsedModule:
    """One source file."""

    def __init__(self, name: str, path: Path, kept: "KeptModules | None" = None):
        """Read it, and parse it unless `kept` has what follows from the same content.

        Raises:
            UserError: with the line, where it does not parse.
        """
        self.name = name
        self.path = path
        source = path.read_bytes()
        self.source_hash = hashlib.sha256(source).hexdigest()
        # A relative import means another module in a package's `__init__`.
        identity = f"{self.source_hash} {name} {path.name == '__init__.py'}"
        module = kept.get(identity) if kept else None
        if module is None:
            module = read_module(source, name, path)
            if kept:
                kept.add(identity, module)
        self.definitions = {each.name: each for each in module.definitions}
        self.imports = dict(module.imports)
        self.loads, self.calls = module.loads, module.calls


class KeptModules:
    """Modules on disk, by the file's content and the module's name.

    A file that is damaged, or was written by other code or another Python, counts as empty. Of two
    processes that write at once, one file stays, whole.
    """

    def __init__(self, file: Path):
        """Read what earlier processes left."""
        self._file = file
        self._known = _read(file)
        self._used: dict[str, list] = {}
        self._changed = False

    def get(self, identity: str) -> Module | None:
        """What is known."""
        found = self._known.get(identity)
        if found is None:
            return None
        self._used[identity] = found
        return _module(*found)

    def add(self, identity: str, module: Module) -> None:
        """Something new."""
        self._known[identity] = self._used[identity] = list(astuple(module))
        self._changed = True

    def save(self) -> None:
        """Leave it for later processes. Where that fails they parse again; nothing else is lost."""
        if not self._changed:
            return
        kept = self._known if len(self._known) <= _MOST_KEPT else self._used
        body = json.dumps(kept)
        with contextlib.suppress(OSError):
            write_whole(self._file, f"{_seal(body)}\n{body}")
            self._changed = False


def _read(file: Path) -> dict[str, list]:
    try:
        seal, _, body = file.read_text(encoding="utf-8").partition("\n")
        return json.loads(body) if seal == _seal(body) else {}
    except (OSError, ValueError):
        return {}


def _module(found: list[list], imports: list, loads: list, calls: list) -> Module:
    defined = tuple(Definition(*each) for each in found)
    return Module(defined, tuple(imports), tuple(loads), tuple(calls))


def _seal(body: str) -> str:
    """Hash of the content and of what it depends on besides the parsed files."""
    return hashlib.sha256(f"{_maker()}\n{body}".encode()).hexdigest()


@cache
def _maker() -> str:
    """The code that reads a module and Python's version, whose dumps of syntax trees differ."""
    code = b"".join(Path(file).read_bytes() for file in (__file__, definitions.__file__))
    return hashlib.sha256(code).hexdigest() + sys.version
