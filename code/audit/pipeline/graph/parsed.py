"""What a key needs to know of one source file, read from its syntax tree.

Parsing all of our code takes a second, so what was found is kept on disk by the file's content.
"""

import ast
import contextlib
import hashlib
import json
import sys
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from seedstability.errors import UserError
from seedstability.files import write_whole

_DYNAMIC_MODULES = {"importlib", "importlib.util", "importlib.machinery", "runpy", "pkgutil"}
_DYNAMIC_CALLS = {"__import__", "exec", "eval"}
_MOST_KEPT = 2000


@dataclass(frozen=True)
class Facts:
    """What follows from a file's content and its module's name."""

    digest: str
    """Hash of the code without comments, docstrings and layout."""
    imported: tuple[str, ...]
    """Dotted names that it imports, whether they are modules or attributes of one."""
    dynamic: str = ""
    """The first thing in it that loads code by a name that cannot be read; empty if none does."""
    dynamic_line: int = 0
    """Where that stands."""


class ParsedModule:
    """One source file."""

    def __init__(self, name: str, path: Path, kept: "KeptFacts | None" = None):
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
        facts = kept.get(identity) if kept else None
        if facts is None:
            facts = parse(source, name, path)
            if kept:
                kept.add(identity, facts)
        self._facts = facts

    @property
    def digest(self) -> str:
        """Hash of the code without comments, docstrings and layout."""
        return self._facts.digest

    @property
    def imported(self) -> tuple[str, ...]:
        """Dotted names that it imports, whether they are modules or attributes of one."""
        return self._facts.imported

    def refuse_dynamic_imports(self) -> None:
        """A key can only speak for code that can be found by reading.

        Raises:
            UserError: naming file and line.
        """
        if self._facts.dynamic:
            raise UserError(
                f"{self.path}:{self._facts.dynamic_line}: {self._facts.dynamic} loads code that no"
                " key can see; a stage's modules may only use plain import statements"
            )


class KeptFacts:
    """Facts on disk, by the file's content and the module's name.

    A file that is damaged, or was written by other code or another Python, counts as empty. Of two
    processes that write at once, one file stays, whole.
    """

    def __init__(self, file: Path):
        """Read what earlier processes left."""
        self._file = file
        self._known = _read(file)
        self._used: dict[str, Facts] = {}
        self._changed = False

    def get(self, identity: str) -> Facts | None:
        """What is known."""
        facts = self._known.get(identity)
        if facts is not None:
            self._used[identity] = facts
        return facts

    def add(self, identity: str, facts: Facts) -> None:
        """Something new."""
        self._known[identity] = self._used[identity] = facts
        self._changed = True

    def save(self) -> None:
        """Leave it for later processes. Where that fails they parse again; nothing else is lost."""
        if not self._changed:
            return
        kept = self._known if len(self._known) <= _MOST_KEPT else self._used
        body = json.dumps({identity: astuple(facts) for identity, facts in kept.items()})
        with contextlib.suppress(OSError):
            write_whole(self._file, f"{_seal(body)}\n{body}")
            self._changed = False


def parse(source: bytes, name: str, path: Path) -> Facts:
    """Read the facts from a module's syntax tree.

    Raises:
        UserError: with the line, where it does not parse.
    """
    try:
        tree = ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}") from None
    imported: list[str] = []
    dynamic, line = "", 0
    for node in ast.walk(tree):
        imported += _imported(node, name, path.name == "__init__.py")
        found = None if dynamic else _dynamic_import(node)
        if found:
            dynamic, line = found, getattr(node, "lineno", 0)
    bare = _without_bare_strings(tree)
    digest = hashlib.sha256(ast.dump(bare).encode()).hexdigest()
    return Facts(digest, tuple(imported), dynamic, line)


def _read(file: Path) -> dict[str, Facts]:
    try:
        seal, _, body = file.read_text(encoding="utf-8").partition("\n")
        if seal != _seal(body):
            return {}
        return {
            i: Facts(d, tuple(names), *more) for i, (d, names, *more) in json.loads(body).items()
        }
    except (OSError, ValueError, TypeError):
        return {}


def _seal(body: str) -> str:
    """Hash of the content and of what it depends on besides the parsed files."""
    return hashlib.sha256(f"{_maker()}\n{body}".encode()).hexdigest()


@cache
def _maker() -> str:
    """This file's code and Python's version, whose dumps of syntax trees differ."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest() + sys.version


def _imported(node: ast.AST, name: str, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _base(node, name, is_package)
        return [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")]
    return []


def _base(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    steps = name.split(".")
    parent = steps[: len(steps) - node.level + is_package]
    return ".".join(parent + ([node.module] if node.module else []))


def _without_bare_strings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            if isinstance(statements, list):
                kept = [s for s in statements if not _is_bare_string(s)]
                setattr(node, block, kept)
    return tree


def _is_bare_string(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _dynamic_import(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        return next((a.name for a in node.names if a.name in _DYNAMIC_MODULES), None)
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in _DYNAMIC_MODULES:
        names = {f"{node.module}.{a.name}" for a in node.names}
        # `from importlib import metadata` reads a version and loads nothing.
        return None if names <= {"importlib.metadata", "importlib.resources"} else node.module
    if isinstance(node, ast.Name) and node.id in _DYNAMIC_CALLS:
        return node.id
    if isinstance(node, ast.Attribute) and node.attr == "import_module":
        return node.attr
    return None
