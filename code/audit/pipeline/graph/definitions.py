"""The definitions of one module, read from its syntax tree, and the names that each uses.

A definition is a top-level function, class or constant. All other top-level statements, which run
whenever the module is imported, are together one definition with an empty name. Imports are none:
what a name is bound to belongs to the definitions that use it.

A name counts as used wherever it occurs, as a local variable too, so that no use is missed. A
constant's value and a decorator are taken to concern what they define and nothing else; but the
functions that they call run at every import, and are listed. What changes a module's constants
later, from inside a function, is recorded as such.
"""

import ast
import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seedstability.errors import UserError

AT_IMPORT = ""
"""Name of the top-level statements that define nothing."""
_DYNAMIC_MODULES = ("importlib", "runpy", "pkgutil")
_STATIC_PARTS = ("importlib.metadata", "importlib.resources")
"""Parts of these that read a version or a file and load nothing."""
_DYNAMIC_CALLS = {"__import__", "exec", "eval"}
_ALL_NAMES = {"globals", "__dict__"}
"""What reaches names that cannot be read; its whole module then counts."""
_MUTATORS = {"add", "append", "extend", "insert", "pop", "popitem", "remove", "discard", "clear",
             "update", "setdefault", "register"}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """One definition, without comments, docstrings and layout."""

    name: str
    digest: str
    """Hash of its code and of the imports behind the names in it."""
    uses: tuple[str, ...]
    """Dotted chains of names, such as `measures.finite_mean`."""
    imports: tuple[tuple[str, str], ...] = ()
    """Names bound by imports inside it → what they are bound to."""
    loads: tuple[str, ...] = ()
    """What it imports when it runs."""
    changes: tuple[str, ...] = ()
    """Chains of names whose value it may change in place or bind anew."""
    is_function: bool = False
    dynamic: str = ""
    """Its line and what in it loads code by a name that cannot be read; empty if nothing does."""
    opaque: bool = False
    """Whether it may use any name of its module."""


@dataclass(frozen=True)
class Module:
    """What a key needs to know of one module."""

    definitions: tuple[Definition, ...]
    imports: tuple[tuple[str, str], ...]
    """Names bound by top-level imports → what they are bound to."""
    loads: tuple[str, ...]
    """What importing it imports."""
    calls: tuple[str, ...]
    """Chains of names that importing it calls."""


def read_module(source: bytes, name: str, path: Path) -> Module:
    """Read a module's definitions.

    Args:
        source: its text.
        name: its dotted name.
        path: its file; relative imports mean another module in an `__init__.py`.

    Raises:
        UserError: with the line, where it does not parse.
    """
    try:
        tree = _without_bare_strings(ast.parse(source, filename=str(path)))
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}") from None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    statements: dict[str, list[ast.stmt]] = {}
    for statement in _run_at_import(tree.body):
        for defined in _defined(statement):
            statements.setdefault(defined, []).append(statement)
    imports = dict(_bindings(_at_import(tree.body), package))
    return Module(
        tuple(_definition(n, found, package, imports) for n, found in statements.items()),
        tuple(imports.items()),
        tuple(_loads(_at_import(_run_at_import(tree.body)), package)),
        tuple(sorted({call for s in _run_at_import(tree.body) for call in _called_at_import(s)})),
    )


def _defined(statement: ast.stmt) -> list[str]:
    """Names that a top-level statement defines."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return []
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            names = [name for target in targets for name in _target_names(target)]
        case ast.AnnAssign(target=target):
            names = _target_names(target)
        case _:
            names = [AT_IMPORT]
    return names if all(names) else [AT_IMPORT]


def _target_names(target: ast.expr) -> list[str]:
    """Names that an assignment binds; an empty one where it changes something in place."""
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [name for part in parts for name in _target_names(part)]
    return [AT_IMPORT]


def _definition(
    name: str, statements: list[ast.stmt], package: str, module_imports: dict[str, str]
) -> Definition:
    nodes = [node for statement in statements for node in ast.walk(statement)]
    uses = {chain for statement in statements for chain in _chains(statement)}
    # Of statements that run at import, the module itself holds the imports.
    inside = [] if name == AT_IMPORT else nodes
    imports = dict(_bindings(inside, package))
    bound = {n: module_imports[n] for use in uses if (n := use.partition(".")[0]) in module_imports}
    text = [*(ast.dump(s) for s in statements), *(f"{n} is {bound[n]}" for n in sorted(bound))]
    return Definition(
        name,
        hashlib.sha256("\n".join(text).encode()).hexdigest()[:32],
        tuple(sorted(uses)),
        tuple(imports.items()),
        tuple(_loads(inside, package)),
        tuple(sorted({chain for node in nodes for chain in _changed(node)})),
        all(isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef) for s in statements),
        _dynamic(uses, [*bound.values(), *imports.values()], statements[0].lineno),
        any(use.rpartition(".")[2] in _ALL_NAMES for use in uses),
    )


def _dynamic(uses: Iterable[str], bound: Iterable[str], line: int) -> str:
    for target in bound:
        if target.startswith(_DYNAMIC_MODULES) and not target.startswith(_STATIC_PARTS):
            return f"{line}: {target}"
    return next((f"{line}: {use}" for use in uses if use in _DYNAMIC_CALLS), "")


def _chains(node: ast.AST) -> Iterator[str]:
    """Names in a piece of code, each with the attributes asked of it."""
    match node:
        case ast.Name(id=name):
            yield name
            return
        case ast.Attribute(value=value, attr=attribute):
            below = list(_chains(value))
            if isinstance(value, ast.Name | ast.Attribute) and len(below) == 1:
                yield f"{below[0]}.{attribute}"
            else:
                yield from below
            return
        case ast.Global(names=names):
            yield from names
        case ast.arg(annotation=ast.expr() as said) | ast.AnnAssign(annotation=said):
            yield from _chains_in_texts(said)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                # The name of a field or variable is bound here, and not read.
                for read in filter(None, (said, node.value)):
                    yield from _chains(read)
                return
        case ast.FunctionDef(returns=ast.expr() as said):
            yield from _chains_in_texts(said)
    for child in ast.iter_child_nodes(node):
        yield from _chains(child)


def _chains_in_texts(annotation: ast.expr) -> Iterator[str]:
    """Names in annotations that are written as text."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            with contextlib.suppress(SyntaxError):  # a shape, and no type
                yield from _chains(ast.parse(node.value, mode="eval"))


def _changed(node: ast.AST) -> Iterator[str]:
    """Names that a piece of code binds anew for the module, or whose value it changes in place."""
    match node:
        case ast.Global(names=names):
            yield from names
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            for target in targets:
                yield from _changed_target(target)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield from _changed_target(target)
        case ast.Call(func=ast.Attribute(value=value, attr=attribute)) if attribute in _MUTATORS:
            yield from _chains(value)


def _changed_target(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Subscript(value=value) | ast.Attribute(value=value):
            yield from _chains(value)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _changed_target(part)


def _bindings(nodes: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str]]:
    """Names that imports bind, and to what."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or bound, bound
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            yield from (
                (alias.asname or alias.name, f"{base}.{alias.name}") for alias in node.names
            )


def _loads(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Modules, or attributes of modules, that imports load."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{_base(node, package)}.{alias.name}" for alias in node.names)


def _at_import(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes that are not inside a function."""
    for statement in statements:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield statement
            yield from _at_import(ast.iter_child_nodes(statement))


def _called_at_import(node: ast.AST) -> Iterator[str]:
    """What a top-level statement calls by itself: in values, decorators and default arguments."""
    run: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Lambda):
        run = _defaults(node.args)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        run = [*node.decorator_list, *_defaults(node.args)]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield from (chain for each in node.decorator_list for chain in _chains(each))
    if isinstance(node, ast.Call):
        yield from _chains(node.func)
    for child in run:
        yield from _called_at_import(child)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    """Default values; a keyword without one has None in its place."""
    return [d for d in [*arguments.defaults, *arguments.kw_defaults] if d is not None]


def _base(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    steps = package.split(".")
    parent = steps[: len(steps) - node.level + 1]
    return ".".join(parent + ([node.module] if node.module else []))


def _without_bare_strings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            if isinstance(statements, list):
                setattr(node, block, [s for s in statements if not _is_bare_string(s)])
    return tree


def _is_bare_string(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_for_checkers(statement: ast.stmt) -> bool:
    """`if TYPE_CHECKING:` and `if __name__ == "__main__":`, whose bodies no import runs."""
    match statement:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), orelse=[]):
            return True
    return False


def _run_at_import(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    return (statement for statement in statements if not _is_for_checkers(statement))
