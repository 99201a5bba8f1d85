r"""The documents of the paper: which files each reads, and the labels that the others may refer to.

The paper and its supplement refer to each other. TeX knows another document's labels from a file of
them, which is kept of each; a document is typeset only if one of its files or of the others' labels
has changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_READ = {
    re.compile(r"\\input\{([^{}]*)\}"): "{}.tex",
    re.compile(r"\\papertable\{([^{}]*)\}"): "tables/{}.tex",
    re.compile(r"\\paperfigure(?:here)?\{([^{}]*)\}"): "figures/{}.pdf",
    re.compile(r"\\bibliography\{([^{}]*)\}"): "{}.bib",
}
"""What makes TeX read a file, and which."""
_LABEL = re.compile(
    r"^(\\newlabel\{[^{}@]+\}\{\{(?:[^{}]|\{[^{}]*\})*\}\{)[^{}]*(\}.*)$", re.MULTILINE
)
"""A label: all before its page, and all behind it."""


@dataclass(frozen=True)
class Document:
    """One PDF."""

    job: str
    """Name of the PDF, without its ending. The file contains it, so it is no path."""
    root: str
    """The file in `paper/` that TeX starts from."""

    @property
    def labels(self) -> str:
        """File with the labels, for `\\externaldocument`."""
        return f"labels-{self.job}.aux"


DOCUMENTS = (Document("paper", "manuscript.tex"), Document("supplement", "supplement.tex"))
"""The paper, which stands alone, and all that backs it."""


def files_read(document: Document, work: Path) -> list[Path]:
    """The files that a document reads, of those assembled in the working folder, in fixed order."""
    found: set[Path] = set()

    def follow(path: Path) -> None:
        if path in found or not path.is_file():
            return
        found.add(path)
        if path.suffix == ".tex":
            for name in _named(path.read_text("utf-8")):
                follow(work / name)

    follow(work / document.root)
    return sorted(found)


def labels_of(auxiliary: str) -> str:
    """The labels in an auxiliary file, one a line, without page numbers."""
    return "".join(f"{found[1]}{found[2]}\n" for found in _LABEL.finditer(auxiliary))


def _named(text: str) -> Iterator[str]:
    for pattern, name in _READ.items():
        for found in pattern.finditer(text):
            yield name.format(found[1])
