"""Which of our files a stage's code consists of, read from their syntax trees.

The closure of a module is the module, the packages on the way to it, and everything of ours
that these import, at their top or inside a function. Comments and docstrings are left out of
the digests, so that editing them makes nothing stale.

What is left out, and why:

- each package's own `__init__`, which holds nothing but names loaded on first use;
- `errors`, `progress` and `terminal`, which change what a user sees and no number;
- of `pipeline` all but `results`, whose defaults (how many decimals) end up in what
  experiments measure.

`numerics.pinning` fixes bits and belongs to every stage.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from seedstability.errors import UserError

PACKAGES = ("seedstability", "audit")
"""Whose code a key hashes."""
_OF_EVERY_STAGE = "numerics.pinning"
_KEPT_OF_PIPELINE = ("results",)
_LEFT_OUT = ("errors", "progress", "terminal")
_DYNAMIC_MODULES = {"importlib", "importlib.util", "importlib.machinery", "runpy", "pkgutil"}
_DYNAMIC_CALLS = {"__import__", "exec", "eval"}


class Sources:
    """The packages' files as they are now, each read and parsed at most once.

    Make a new one to see later edits.
    """

    def __init__(self, code: Path, packages: tuple[str, ...] = PACKAGES):
        """Look under the folder `code`, which holds the packages' folders."""
        self.code = code
        self.packages = packages
        self._parsed: dict[str, ParsedModule] = {}
        self._closures: dict[str, dict[str, str]] = {}

    def closure(self, module: str) -> dict[str, str]:
        """Path within `code` → digest, for every file that the module's code consists of.

        Raises:
            UserError: a module that is not there, does not parse, or imports dynamically.
        """
        if module in self._closures:
            return self._closures[module]
        always = (f"{package}.{_OF_EVERY_STAGE}" for package in self.packages)
        waiting = [module, *(name for name in always if self.path(name) is not None)]
        seen = set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or not self.counts(name):
                continue
            seen.add(name)
            waiting += self._imports(name)
        found = [self.parsed(name) for name in sorted(seen) if self.path(name) is not None]
        closure = {p.path.relative_to(self.code).as_posix(): p.digest for p in found}
        self._closures[module] = closure
        return closure

    def untouched(self, source_hashes: Mapping[str, str]) -> bool:
        """Whether these files hold the very bytes they did; parses nothing."""
        return all(
            (self.code / path).is_file()
            and hashlib.sha256((self.code / path).read_bytes()).hexdigest() == expected
            for path, expected in source_hashes.items()
        )

    def source_hashes(self, module: str) -> dict[str, str]:
        """Path within `code` → hash of the file's bytes, for every file of the closure."""
        paths = self.closure(module)
        return {path: self.parsed(self.module_of(path)).source_hash for path in paths}

    def counts(self, module: str) -> bool:
        """Whether an edit of this module can change a stage's numbers."""
        room, _, rest = module.partition(".")[2].partition(".")
        if not room:
            return False
        return rest in _KEPT_OF_PIPELINE if room == "pipeline" else room not in _LEFT_OUT

    def outside_imports(self, module: str) -> set[str]:
        """Dotted names, not ours, that the closure imports anywhere."""
        modules = [self.module_of(path) for path in self.closure(module)]
        names = {name for module in modules for name in self.parsed(module).imported}
        return {name for name in names if not self._is_ours(name)}

    def module_of(self, path: str) -> str:
        """The dotted name of a file within `code`."""
        return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def path(self, module: str) -> Path | None:
        """The module's file, or nothing if there is none."""
        base = self.code.joinpath(*module.split("."))
        for candidate in (base / "__init__.py", base.with_suffix(".py")):
            if candidate.is_file():
                return candidate
        return None

    def parsed(self, module: str) -> "ParsedModule":
        """The module's syntax tree and what follows from it.

        Raises:
            UserError: a module that is not there or does not parse.
        """
        if module not in self._parsed:
            path = self.path(module)
            if path is None:
                raise UserError(f"{module} is named by a stage, but {self.code} holds no such file")
            self._parsed[module] = ParsedModule(module, path)
        return self._parsed[module]

    def _imports(self, module: str) -> Iterator[str]:
        """Our modules that importing this one, or running its functions, loads."""
        if "." in module:
            yield module.rpartition(".")[0]
        if self.path(module) is None and module not in self.packages:
            # A folder without __init__.py loads nothing of its own.
            if self.code.joinpath(*module.split(".")).is_dir():
                return
            raise UserError(f"{module} is imported, but {self.code} holds no such file")
        parsed = self.parsed(module)
        parsed.refuse_dynamic_imports()
        for name in parsed.imported:
            if self._is_ours(name):
                yield self._module_part(name, parsed)

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0] in self.packages

    def _module_part(self, name: str, importer: "ParsedModule") -> str:
        """`package.module.attribute` without the attribute."""
        module = name
        while self.path(module) is None and "." in module:
            if self.code.joinpath(*module.split(".")).is_dir():
                return module
            module = module.rpartition(".")[0]
        if module in self.packages and name != module:
            raise UserError(
                f"{importer.path} imports {name.rpartition('.')[2]} from {module} itself;"
                " a stage has to name the module it comes from"
            )
        return module


class ParsedModule:
    """One source file."""

    def __init__(self, name: str, path: Path):
        """Parse it.

        Raises:
            UserError: with the line, where it does not parse.
        """
        self.name = name
        self.path = path
        source = path.read_bytes()
        self.source_hash = hashlib.sha256(source).hexdigest()
        try:
            self._tree = ast.parse(source, filename=str(path))
        except SyntaxError as error:
            raise UserError(f"{path}:{error.lineno}: {error.msg}") from None

    @cached_property
    def digest(self) -> str:
        """Hash of the code without comments, docstrings and layout."""
        bare = _without_bare_strings(self._tree)
        return hashlib.sha256(ast.dump(bare).encode()).hexdigest()

    @cached_property
    def imported(self) -> list[str]:
        """Dotted names that it imports, whether they are modules or attributes of one."""
        names = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                names.append(base)
                names += [f"{base}.{alias.name}" for alias in node.names if alias.name != "*"]
        return names

    def refuse_dynamic_imports(self) -> None:
        """A key can only speak for code that can be found by reading.

        Raises:
            UserError: naming file and line.
        """
        for node in ast.walk(self._tree):
            found = _dynamic_import(node)
            if found:
                raise UserError(
                    f"{self.path}:{getattr(node, 'lineno', 0)}: {found} loads code that no key can"
                    " see; a stage's modules may only use plain import statements"
                )

    def _base(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        steps = self.name.split(".")
        is_package = self.path.name == "__init__.py"
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
