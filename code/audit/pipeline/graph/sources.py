"""Which of our files a stage's code consists of, read from their syntax trees.

The closure of a module is the module, the packages on the way to it, and everything of ours
that these import, at their top or inside a function. Comments and docstrings are left out of
the digests, so that editing them makes nothing stale.

What is left out, and why:

- each package's own `__init__`, which holds nothing but names loaded on first use;
- `errors`, `progress` and `terminal`, which change what a user sees and no number;
- `files`, which puts whole what others write there, and reads nothing;
- of `pipeline` all but `results`, whose defaults (how many decimals) end up in what
  experiments measure.

`numerics.pinning` fixes bits and belongs to every stage.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from audit.pipeline.graph.parsed import KeptFacts, ParsedModule
from seedstability.errors import UserError

PACKAGES = ("seedstability", "audit")
"""Whose code a key hashes."""
_OF_EVERY_STAGE = "numerics.pinning"
_KEPT_OF_PIPELINE = ("results",)
_LEFT_OUT = ("errors", "files", "progress", "terminal")


class Sources:
    """The packages' files as they are now, each read and parsed at most once.

    Make a new one to see later edits.
    """

    def __init__(
        self, code: Path, packages: tuple[str, ...] = PACKAGES, kept: KeptFacts | None = None
    ):
        """Look under the folder `code`, which holds the packages' folders.

        Args:
            code: that folder.
            packages: the packages whose code counts.
            kept: what earlier processes found in the same files; left out, all are parsed.
        """
        self.code = code
        self.packages = packages
        self._kept = kept
        self._parsed: dict[str, ParsedModule] = {}
        self._imported: dict[str, tuple[str, ...]] = {}
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
        found = [name for name in sorted(seen) if self.path(name) is not None]
        closure = {self._files[name]: self.parsed(name).digest for name in found}
        self._closures[module] = closure
        return closure

    def keep(self) -> None:
        """Leave what was parsed for later processes."""
        if self._kept is not None:
            self._kept.save()

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
        file = self._files.get(module)
        return None if file is None else self.code / file

    def parsed(self, module: str) -> "ParsedModule":
        """The module's syntax tree and what follows from it.

        Raises:
            UserError: a module that is not there or does not parse.
        """
        if module not in self._parsed:
            path = self.path(module)
            if path is None:
                raise UserError(f"{module} is named by a stage, but {self.code} holds no such file")
            self._parsed[module] = ParsedModule(module, path, self._kept)
        return self._parsed[module]

    @cached_property
    def _files(self) -> dict[str, str]:
        """Module → its file within `code`; a package counts before a module of its name."""
        files: dict[str, str] = {}
        for folder, file in self._listing:
            if file == "__init__.py":
                files[folder.replace("/", ".")] = f"{folder}/{file}"
            elif file.endswith(".py"):
                files.setdefault(f"{folder}/{file[:-3]}".replace("/", "."), f"{folder}/{file}")
        return files

    @cached_property
    def _folders(self) -> set[str]:
        """Dotted names of the packages' folders, with or without `__init__.py`."""
        return {folder.replace("/", ".") for folder, _ in self._listing}

    @cached_property
    def _listing(self) -> list[tuple[str, str]]:
        """Every file as (folder within `code`, name), each folder once more with an empty name."""
        found = []
        for package in self.packages:
            for where, _, files in os.walk(self.code / package):
                folder = Path(where).relative_to(self.code).as_posix()
                found += [(folder, name) for name in ("", *files)]
        return found

    def _imports(self, module: str) -> tuple[str, ...]:
        """Our modules that importing this one, or running its functions, loads."""
        if module not in self._imported:
            self._imported[module] = tuple(self._find_imports(module))
        return self._imported[module]

    def _find_imports(self, module: str) -> Iterator[str]:
        if "." in module:
            yield module.rpartition(".")[0]
        if self.path(module) is None and module not in self.packages:
            # A folder without __init__.py loads nothing of its own.
            if module in self._folders:
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
            if module in self._folders:
                return module
            module = module.rpartition(".")[0]
        if module in self.packages and name != module:
            raise UserError(
                f"{importer.path} imports {name.rpartition('.')[2]} from {module} itself;"
                " a stage has to name the module it comes from"
            )
        return module
