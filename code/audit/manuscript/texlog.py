r"""What TeX complained about, with the file and line that each complaint is about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What belongs to no file in particular belongs to the one that the others are read from.
ROOT = "manuscript.tex"
_OPENED_OR_CLOSED = re.compile(r"\((\./)?([^\s(){}\"]+\.[a-z0-9]+)|([()])")
_ERROR = re.compile(r"^(?:\./)?([^\s:]+\.[A-Za-z0-9]+):(\d+): (.*)$")
_OVERFULL = re.compile(r"^(Overfull \\[hv]box \([\d.]+pt too (?:wide|high)\))(.*)$")
_BOX = re.compile(r"^(Over|Under)full \\[hv]box")
# A paragraph may begin in a file that it includes, but ends where TeX is reading.
_LINES = re.compile(r"at lines? (?:\d+--)?(\d+)")
_UNDEFINED = re.compile(
    r"^(?:LaTeX|Package natbib) Warning: ((?:Reference|Citation|Label) [`'].*?)\s*"
    r"on page \d+ (undefined|multiply defined)(?: on input line (\d+))?"
)
_MULTIPLE = re.compile(r"^LaTeX Warning: (Label [`'].*?' multiply defined)")
_BROKEN_LINK = re.compile(
    r"^pdfTeX warning \(dest\): (name\{.*?\} has been referenced but does not exist)"
)
_MISSING_CHARACTER = re.compile(r"^Missing character: (There is no .* in font .*?)!")


@dataclass(frozen=True)
class TexMessage:
    """One thing that is wrong with a typeset page."""

    place: str
    """`file:line`, or the file alone where TeX does not say more."""
    what: str
    """In TeX's words."""
    stops: bool = False
    """Whether TeX gave up there, so that later complaints may only follow from it."""

    @property
    def file(self) -> str:
        """The file alone."""
        return self.place.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def complaints(log: str) -> Iterator[TexMessage]:
    """Errors, overfull boxes, undefined references and missing characters, in the log's order.

    The log must have been written with `-file-line-error` and lines that TeX does not break.
    """
    files: list[str] = []
    quoting = False
    for line in log.splitlines():
        complaint = _about(line, files[-1] if files else ROOT)
        if complaint is not None:
            yield complaint
        # Behind a box come the words in it, whose parentheses open and close no file.
        quoting = bool(_BOX.match(line)) or (quoting and line.strip() != "")
        if complaint is None and not quoting:
            _follow(line, files)


def _about(line: str, file: str) -> TexMessage | None:
    if found := _ERROR.match(line):
        return TexMessage(f"{found[1]}:{found[2]}", found[3], stops=True)
    if found := _OVERFULL.match(line):
        lines = _LINES.search(found[2])
        return TexMessage(f"{file}:{lines[1]}" if lines else file, found[1])
    if found := _UNDEFINED.match(line):
        place = f"{file}:{found[3]}" if found[3] else file
        return TexMessage(place, f"{found[1]} {found[2]}")
    if found := _MULTIPLE.match(line):
        return TexMessage(file, found[1])
    if found := _BROKEN_LINK.match(line):
        return TexMessage(file, found[1])
    if found := _MISSING_CHARACTER.match(line):
        return TexMessage(file, found[1])
    return None


def _follow(line: str, files: list[str]) -> None:
    """Keep track of the file being read: TeX writes `(name` when it opens one, `)` after it."""
    for found in _OPENED_OR_CLOSED.finditer(line):
        if found[2]:
            files.append(found[2])
        elif found[3] == "(":
            files.append(files[-1] if files else "")
        elif files:
            files.pop()
