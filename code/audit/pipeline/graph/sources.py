"""Which of our definitions a stage can reach, read from the syntax trees of our packages.

A stage reaches its function, the classes of its settings, and all that the code of these names, and
so on: functions, classes and constants of ours, wherever they are imported from, at a file's top or
inside a function. With a definition its module is loaded, and with that what it imports; the
top-level statements of every loaded module count, and the functions that loading it calls. Where a
module is itself used as a value, or code asks for all names of a module, all its definitions count.
A function that changes a constant in place is reached with the constant. Comments and docstrings
are left out of the digests.

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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audit.pipeline.graph.definitions import AT_IMPORT, Definition
from audit.pipeline.graph.parsed import KeptModules, ParsedModule
from seedstability.errors import UserError

PACKAGES = ("seedstability", "audit")
"""Whose code a key hashes."""
_OF_EVERY_STAGE = "numerics.pinning"
_KEPT_OF_PIPELINE = ("results",)
_LEFT_OUT = ("errors", "files", "progress", "terminal")

Reference = tuple[str, str]
"""A module and a name in it; an empty name stands for its top-level statements."""


@dataclass(frozen=True)
class Closure:
    """What a stage's code consists of."""

    definitions: Mapping[str, str]
    """`package/module.py:name` → digest, for every definition within reach."""
    files: frozenset[str]
    """Every file, within the code's folder, on which this depends."""


class Sources:
    """The packages' files as they are now, each read and parsed at most once.

    Make a new one to see later edits.
    """

    def __init__(
        self, code: Path, packages: tuple[str, ...] = PACKAGES, kept: KeptModules | None = None
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
        self._reached: dict[Reference, frozenset[Reference]] = {}
        self._closures: dict[frozenset[str], Closure] = {}

    def closure(self, roots: Iterable[str]) -> Closure:
        """All that the code of some definitions consists of.

        Args:
            roots: each as `package.module:name`; those of other packages are passed over.

        Raises:
            UserError: a module or definition that is not there, does not parse, or loads code by a
                name that cannot be read.
        """
        wanted = frozenset(root for root in roots if self._is_ours(root))
        if wanted not in self._closures:
            self._closures[wanted] = self._find_closure(wanted)
        return self._closures[wanted]

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

    def source_hashes(self, roots: Iterable[str]) -> dict[str, str]:
        """Path within `code` → hash of the file's bytes, for every file of the closure."""
        files = self.closure(roots).files
        return {file: self.parsed(self.module_of(file)).source_hash for file in sorted(files)}

    def counts(self, module: str) -> bool:
        """Whether an edit of this module can change a stage's numbers."""
        room, _, rest = module.partition(".")[2].partition(".")
        if not room:
            return False
        return rest in _KEPT_OF_PIPELINE if room == "pipeline" else room not in _LEFT_OUT

    def outside_imports(self, roots: Iterable[str]) -> set[str]:
        """Dotted names, not ours, that the files of the closure import anywhere."""
        modules = [self.parsed(self.module_of(file)) for file in self.closure(roots).files]
        loads = [*(module.loads for module in modules)]
        loads += [each.loads for module in modules for each in module.definitions.values()]
        return {name for names in loads for name in names if not self._is_ours(name)}

    def module_of(self, path: str) -> str:
        """The dotted name of a file within `code`."""
        return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def path(self, module: str) -> Path | None:
        """The module's file, or nothing if there is none."""
        file = self._files.get(module)
        return None if file is None else self.code / file

    def parsed(self, module: str) -> ParsedModule:
        """The module's definitions.

        Raises:
            UserError: a module that is not there or does not parse.
        """
        if module not in self._parsed:
            path = self.path(module)
            if path is None:
                raise UserError(f"{module} is named by a stage, but {self.code} holds no such file")
            self._parsed[module] = ParsedModule(module, path, self._kept)
        return self._parsed[module]

    def _find_closure(self, roots: frozenset[str]) -> Closure:
        always = [f"{package}.{_OF_EVERY_STAGE}" for package in self.packages]
        waiting = [r for module in always if self.path(module) for r in self._whole(module)]
        waiting += [reference for root in roots for reference in self._root(root)]
        reached: set[Reference] = set()
        while waiting:
            reference = waiting.pop()
            if reference not in reached:
                reached.add(reference)
                waiting += self._next(reference)
        defined = [r for r in reached if r[1] in self.parsed(r[0]).definitions]
        return Closure(
            {
                f"{self._files[module]}:{name}": self.parsed(module).definitions[name].digest
                for module, name in sorted(defined)
            },
            frozenset(self._files[module] for module, _ in reached),
        )

    def _root(self, root: str) -> Iterator[Reference]:
        module, _, name = root.partition(":")
        name = name.partition(".")[0]
        parsed = self.parsed(module)
        if name not in parsed.definitions and name not in parsed.imports:
            raise UserError(f"{module} has no {name}, which a stage names")
        yield from self._follow(module, name)

    def _next(self, reference: Reference) -> frozenset[Reference]:
        """What comes with a definition."""
        if reference not in self._reached:
            module, name = reference
            found = {(module, AT_IMPORT), *self._changers.get(reference, ())}
            parsed = self.parsed(module)
            definition = parsed.definitions.get(name)
            if name == AT_IMPORT:
                found |= {*self._loaded(module, parsed.loads), *self._called(module, parsed)}
            if definition:
                found |= {*self._uses(module, definition)}
            self._reached[reference] = frozenset(found)
        return self._reached[reference]

    def _uses(self, module: str, definition: Definition) -> Iterator[Reference]:
        if definition.dynamic:
            raise UserError(
                f"{self.path(module)}:{definition.dynamic} loads code that no key can see; what a"
                " stage reaches may only use plain import statements"
            )
        if definition.opaque:
            yield from self._whole(module)
        yield from self._loaded(module, definition.loads)
        for chain in definition.uses:
            yield from self._resolve(module, chain, definition.imports)

    def _called(self, module: str, parsed: ParsedModule) -> Iterator[Reference]:
        """Functions that loading a module calls; a class that it makes is left to what uses it."""
        for chain in parsed.calls:
            for target, name in self._resolve(module, chain):
                definition = self.parsed(target).definitions.get(name)
                if definition and definition.is_function:
                    yield target, name

    def _resolve(
        self, module: str, chain: str, imports: tuple[tuple[str, str], ...] = ()
    ) -> Iterator[Reference]:
        """What a chain of names stands for, with imports of its own; nothing if none of ours."""
        root, _, rest = chain.partition(".")
        bound = dict(imports).get(root)
        if bound is None and root in self.parsed(module).definitions:
            yield module, root
            return
        bound = bound or self.parsed(module).imports.get(root)
        if bound and self._is_ours(bound):
            yield from self._follow(*self._split(f"{bound}.{rest}".rstrip("."), module))

    def _follow(self, module: str, name: str) -> Iterator[Reference]:
        """A name of a module, also where that module only imports it."""
        if not self.counts(module):
            return
        if not name or self.path(module) is None:
            yield from self._whole(module)
            return
        parsed = self.parsed(module)
        if name in parsed.definitions:
            yield module, name
        elif name in parsed.imports:
            yield module, AT_IMPORT
            bound = parsed.imports[name]
            if self._is_ours(bound):
                yield from self._follow(*self._split(bound, module))
        else:
            # Bound in a way that cannot be read, or a module's own attribute such as __name__.
            yield from self._whole(module)

    def _whole(self, module: str) -> Iterator[Reference]:
        if self.counts(module) and self.path(module) is not None:
            yield module, AT_IMPORT
            yield from ((module, name) for name in self.parsed(module).definitions)

    def _loaded(self, importer: str, names: Iterable[str]) -> Iterator[Reference]:
        """The modules that imports load, with the packages on the way."""
        for name in names:
            if not self._is_ours(name):
                continue
            module, _ = self._split(name, importer)
            steps = module.split(".")
            for k in range(2, len(steps) + 1):
                step = ".".join(steps[:k])
                if self.path(step) is not None and self.counts(step):
                    yield step, AT_IMPORT

    def _split(self, name: str, importer: str) -> tuple[str, str]:
        """`package.module.name.more` as its module and the name, empty if there is none."""
        steps = name.split(".")
        for k in range(len(steps), 0, -1):
            module = ".".join(steps[:k])
            if module in self._files or module in self._folders:
                if module in self.packages and k < len(steps):
                    raise UserError(
                        f"{self.path(importer)} imports {steps[k]} from {module} itself;"
                        " a stage has to name the module it comes from"
                    )
                return module, steps[k] if k < len(steps) else ""
        raise UserError(f"{name} is imported, but {self.code} holds no such file")

    @cached_property
    def _changers(self) -> dict[Reference, set[Reference]]:
        """Constants and classes → the definitions that change them in place."""
        found: dict[Reference, set[Reference]] = {}
        for module in self._files:
            if not self.counts(module):
                continue
            for definition in self.parsed(module).definitions.values():
                for chain in definition.changes:
                    for target in self._resolve(module, chain, definition.imports):
                        changed = self.parsed(target[0]).definitions.get(target[1])
                        if changed and not changed.is_function and target[1] != AT_IMPORT:
                            found.setdefault(target, set()).add((module, definition.name))
        return found

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

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0].partition(":")[0] in self.packages
