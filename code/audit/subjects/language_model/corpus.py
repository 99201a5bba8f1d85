"""The corpus: source text of packages pinned by the lock file, so that it needs no download.

Each Python file gives two documents, one in each domain: `prose`, its docstrings, and `code`, the
rest without docstrings and comments. Tests, benchmarks and generated parsers are excluded because
they are repetitive.
The files are found through the metadata of the installed wheels and only read, never imported.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from audit.subjects.language_model.config import DOMAINS, CorpusConfig, Domain
from seedstability.errors import UserError

# Strings are matched so that a number sign within one does not start a comment. A backslash escapes
# the next character for the lexer, in raw strings too.
_STRING_OR_COMMENT = re.compile(
    r'(?s:"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\')'
    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(#[^\n]*)'
)
_BLANK_LINES = re.compile(r"(?:[ \t]*\n){3,}")


_EXCLUDED_FOLDERS = {"tests", "testing", "benchmarks", "_antlr"}


class SourceFile(NamedTuple):
    """One file of an installed package."""

    name: str
    """Path in the wheel, such as `sympy/core/add.py`."""
    content: str
    """Text as installed."""


class Document(NamedTuple):
    """Text of one domain from one file."""

    file: str
    """Name of the file."""
    domain: Domain
    """Domain of the text."""
    text: str
    """The text, never empty."""


class Corpus(NamedTuple):
    """All files, with a hash that identifies them."""

    files: list[SourceFile]
    """Files in the order of their names."""
    sha256: str
    """Hash of names and contents."""

    def documents(self) -> Iterator[Document]:
        """Yield the documents of each file."""
        for file in self.files:
            for domain, text in zip(DOMAINS, split_domains(file.content), strict=True):
                if text:
                    yield Document(file.name, domain, text)


def read_corpus(config: CorpusConfig) -> Corpus:
    """Read all files of the packages.

    Raises:
        UserError: a package is missing or has no files.
    """
    files = sorted(file for package in config.packages for file in _files(package))
    whole = hashlib.sha256()
    for name, content in files:
        whole.update(f"{name}\0{hashlib.sha256(content.encode()).hexdigest()}\n".encode())
    return Corpus(files, whole.hexdigest())


def installed_versions(config: CorpusConfig) -> dict[str, str]:
    """Return the installed version of each package.

    Raises:
        UserError: a package is missing.
    """
    return {package: _installed(package).version for package in config.packages}


def split_domains(source: str) -> tuple[str, str]:
    """Split source text into code without docstrings and comments, and docstrings."""
    spans, docstrings = [], []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                first = node.body[0]
                docstrings.append((first.lineno, text))
                spans.append((first.lineno, first.end_lineno or first.lineno))
    prose = "\n\n".join(text for _, text in sorted(docstrings) if text)
    return _code(source, spans), prose


def _code(source: str, docstrings: list[tuple[int, int]]) -> str:
    lines = source.splitlines(keepends=True)
    for first, last in docstrings:
        lines[first - 1 : last] = [""] * (last - first + 1)
    bare = _STRING_OR_COMMENT.sub(lambda found: "" if found[1] else found[0], "".join(lines))
    bare = "\n".join(line.rstrip() for line in bare.split("\n"))
    return _BLANK_LINES.sub("\n\n", bare).strip()


def _files(package: str) -> Iterator[SourceFile]:
    found = False
    for path in _installed(package).files or ():
        if path.suffix == ".py" and not _EXCLUDED_FOLDERS & set(path.parts):
            text = Path(path.locate()).read_text(encoding="utf-8")
            found = True
            yield SourceFile(path.as_posix(), text)
    if not found:
        raise UserError(f"the package {package} has no Python files; install it from its wheel")


def _installed(package: str) -> Distribution:
    try:
        return distribution(package)
    except PackageNotFoundError:
        raise UserError(
            f"the package {package}, which is part of the corpus, is not installed; "
            "install requirements/cpu.txt"
        ) from None
