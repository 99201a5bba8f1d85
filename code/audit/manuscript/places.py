"""Where the paper prints an address: text, tables, figures; and which sentences rest on it."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.experiments.common.declaration import Figure
from audit.manuscript import macros, predicates, tables
from audit.manuscript.edition import Edition, ValueSource
from audit.manuscript.macros import Source
from audit.pipeline.results import Scalar


def places(
    address: str,
    sources: Iterable[Source],
    edition: Edition,
    paper: Path,
    figures: Iterable[Figure],
) -> list[str]:
    """Every place that prints the value at an address or rests on it, one line each.

    Args:
        address: of one value.
        sources: the text's files.
        edition: the values that tables are rendered from.
        paper: folder of the manuscript.
        figures: all figures of the paper.
    """
    found = [line for source in sources for line in _in_text(address, source)]
    found += [f"table {name}" for name in _tables_with(address, edition, paper)]
    found += [
        f"figure {figure.name}"
        for figure in figures
        if any(f"{address}.".startswith(f"{below}.") for below in figure.addresses)
    ]
    return found


def _in_text(address: str, source: Source) -> Iterator[str]:
    for use in macros.uses(source):
        if use.address == address:
            yield f"{use.place} \\{use.macro}"
    for holds in predicates.bound_sentences(source):
        if address in predicates.addresses(holds.predicate):
            plain = re.sub(r"\\\w+\s*\{[^{}]*\}", "…", holds.sentence)
            sentence = textwrap.shorten(plain, 90, placeholder=" …")
            yield f"{holds.place} rests on it: {sentence}"


class _Recorder:
    """Values that write down which addresses were read."""

    def __init__(self, values: ValueSource):
        self._values = values
        self.read: set[str] = set()

    def __contains__(self, address: object) -> bool:
        return address in self._values

    def leaf(self, address: str) -> Any:
        self.read.add(address)
        return self._values.leaf(address)

    def scalar(self, address: str) -> Scalar:
        self.read.add(address)
        return self._values.scalar(address)

    def text(self, address: str) -> str:
        self.read.add(address)
        return self._values.text(address)

    def subtree(self, prefix: str = "") -> Mapping[str, Any]:
        return _Branch(self._values.subtree(prefix), prefix, self.read)


class _Branch(Mapping[str, Any]):
    """Part of a tree of values that writes down which of them were read."""

    def __init__(self, tree: Mapping[str, Any], prefix: str, read: set[str]):
        self._tree, self._prefix, self._read = tree, prefix, read

    def __getitem__(self, name: str) -> Any:
        found, address = self._tree[name], f"{self._prefix}.{name}".lstrip(".")
        if isinstance(found, Mapping):
            return _Branch(found, address, self._read)
        self._read.add(address)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._tree

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)


def _tables_with(address: str, edition: Edition, paper: Path) -> Iterator[str]:
    for template in tables.templates(paper):
        values = _Recorder(edition.values)
        tables.render(template, replace(edition, values=values))
        if address in values.read:
            yield template.name.partition(".")[0]
