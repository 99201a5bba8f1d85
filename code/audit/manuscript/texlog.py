r"""Parse TeX's log: errors and warnings, with the file and line of each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENED_OR_CLOSED = re.compile(r"\((\./)?([^\s(){}\"]+\.[a-z0-9]+)|([()])")
_ERROR = re.compile(r"^(?:\./)?([^\s:]+\.[A-Za-z0-9]+):(\d+): (.*)$")
_OVERFULL = re.compile(r"^(Overfull \\[hv]box \([\d.]+pt too (?:wide|high)\))(.*)$")
_BOX = re.compile(r"^(Over|Under)full \\[hv]box")
# A paragraph ends in the file that TeX is reading, but may begin in another.
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
    """An error or warning of TeX."""

    place: str
    """`file:line`, or the file alone if TeX gives no line."""
    what: str
    """The message as TeX words it."""
    stops: bool = False
    """Whether TeX stopped there, so that later messages may only follow from it."""

    @property
    def is_reference(self) -> bool:
        """Whether a label that the text refers to is not known."""
        return self.what.startswith("Reference")

    @property
    def file(self) -> str:
        """The file, without the line."""
        return self.place.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def tex_messages(log: str, root: str) -> Iterator[TexMessage]:
    """Yield errors, overfull boxes, undefined references and missing characters, in order.

    The log must have been written with `-file-line-error` and without wrapped lines. A message
    outside any file belongs to `root`, which includes all others.
    """
    files: list[str] = []
    quoting = False
    for line in log.splitlines():
        message = _message_of(line, files[-1] if files else root)
        if message is not None:
            yield message
        # The words of a box follow its message; their parentheses open and close no file.
        quoting = bool(_BOX.match(line)) or (quoting and line.strip() != "")
        if message is None and not quoting:
            _track_files(line, files)


def _message_of(line: str, file: str) -> TexMessage | None:
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


def _track_files(line: str, files: list[str]) -> None:
    """Track the file being read: TeX writes `(name` when it opens one, and `)` after it."""
    for found in _OPENED_OR_CLOSED.finditer(line):
        if found[2]:
            files.append(found[2])
        elif found[3] == "(":
            files.append(files[-1] if files else "")
        elif files:
            files.pop()
