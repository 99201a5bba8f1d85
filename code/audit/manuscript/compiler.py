"""Compile text, templates, figures and locked values to PDFs, the same files on any machine.

All files are assembled and typeset in `build/paper/`, so that no path of this machine reaches the
document. TeX runs only if an input has changed.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from audit.experiments.common.declaration import Figure
from audit.experiments.registry import COMMANDS, FIGURES
from audit.manuscript import digits, figures, macros, predicates, tables, texlog
from audit.manuscript.documents import DOCUMENTS, Document, files_read, labels_of
from audit.manuscript.edition import Edition
from audit.manuscript.latex import escaped
from audit.manuscript.macros import Source
from audit.pipeline.graph.keys import current_sources
from audit.pipeline.graph.sources import Sources
from seedstability.errors import UserError
from seedstability.files import exclusive, write_whole

PROGRAMS = ("pdflatex", "latexmk", "bibtex")
DEBIAN_PACKAGES = (
    "latexmk",
    "texlive-latex-base",
    "texlive-latex-recommended",
    "texlive-latex-extra",
    "texlive-fonts-recommended",
    "cm-super",
    "lmodern",
)
_TEXTS = ("*.tex", "main/*.tex", "sections/*.tex")
"""Where the text is: roots and what they share, the paper's, the supplement's."""
_DETERMINISTIC = r"\pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1"


class _UnknownLabels(UserError):
    """Nothing is wrong with a document but references, perhaps to what is new in another one."""


def build_paper(
    edition: Edition,
    paper: Path = Path("paper"),
    build: Path = Path("build"),
    drawn: Sequence[Figure] = FIGURES,
    sources: Sources | None = None,
) -> list[Path]:
    """Render the paper and its supplement, each unless the existing PDF is current.

    Args:
        edition: the values, and facts about the run behind them.
        paper: folder with the documents' roots, their text, `tables/` and `references.bib`.
        build: folder for the PDFs; working files go to its `paper/`.
        drawn: the figures of this paper.
        sources: our code; as it is now by default.

    Returns:
        Paths of the PDFs.

    Raises:
        UserError: a mistake in the paper or an incomplete TeX, with file and line. The previous
            PDFs are kept.
    """
    try:
        work = build / "paper"
        work.mkdir(parents=True, exist_ok=True)
        # Concurrent builds would typeset each other's files.
        with exclusive(work / "lock"):
            assemble(edition, paper, work, drawn, sources or current_sources(build))
            return typeset_all(edition, paper, build)
    except OSError as problem:
        raise UserError(
            f"{problem.filename or build}: {problem.strerror or problem}; the paper needs a"
            f" readable {paper}/ and room to write in {build}/"
        ) from None


def assemble(
    edition: Edition, paper: Path, work: Path, drawn: Sequence[Figure], sources: Sources
) -> None:
    """Assemble all files that TeX reads in the working folder.

    Raises:
        UserError: a typed figure or a missing address, with file and line.
    """
    typed = text_sources(paper)
    templates, shared = tables.templates(paper), paper.glob(f"tables/{tables.MACROS}")
    for source in [*typed, *(_source(template, paper) for template in [*templates, *shared])]:
        digits.check(source)

    made = {t: tables.render(t, edition, _display_path(t, paper)) for t in templates}
    rendered = [Source(_display_path(template, paper), text) for template, text in made.items()]
    contents = {Path(s.name).relative_to(paper.name): s.text for s in typed}
    for template, text in made.items():
        name = template.name.removesuffix(tables.SUFFIX)
        contents[Path("tables") / f"{name}.tex"] = text
    readme = paper.parent / "README.md"  # says the results in short, and rests on them too
    beside = [Source(readme.name, readme.read_text("utf-8"))] if readme.is_file() else []
    predicates.check([*typed, *rendered, *beside], edition)
    contents[Path("values.tex")] = macros.values_tex([*typed, *rendered], edition)
    contents[Path("edition.tex")] = _edition_tex(edition)
    for bibliography in sorted(paper.glob("*.bib")):
        contents[Path(bibliography.name)] = bibliography.read_text("utf-8")

    _remove_stale(work, contents)
    for place, text in contents.items():
        _write_if_changed(work / place, text)
    for figure in drawn:
        figures.render(figure, edition.values, work / "figures", sources)


def typeset_all(edition: Edition, paper: Path, build: Path) -> list[Path]:
    """Typeset what was assembled, until no document's labels move another's.

    Raises:
        UserError: as `build_paper`.
    """
    work, seconds = build / "paper", _seconds(edition.date)
    tex = f"{require_tex()}\n{seconds}"
    there = [document for document in DOCUMENTS if (paper / document.root).is_file()]
    read = {document: files_read(document, work) for document in there}
    for document in there:
        if not (work / document.labels).is_file():
            _draft_labels(document, work, seconds)
    # In the second round all know what was new or moved in the first.
    for is_last in (False, True):
        for document in there:
            others = [work / other.labels for other in there if other is not document]
            key = _digest(tex, [*read[document], *others], work)
            try:
                _typeset_if_changed(document, key, paper, build, seconds)
            except _UnknownLabels:
                if is_last:
                    raise
    return [build / f"{document.job}.pdf" for document in there]


def require_tex() -> str:
    """Check that TeX is complete, and return the first line of `pdflatex --version`.

    Raises:
        UserError: a program of TeX is missing; the message says what to install.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise UserError(
            f"TeX is not complete: no {', '.join(missing)} on the PATH; on Debian:"
            f" apt-get install --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"
        )
    version = subprocess.run(
        ["pdflatex", "--version"], capture_output=True, text=True, check=False
    ).stdout
    return version.partition("\n")[0]


def text_sources(paper: Path) -> list[Source]:
    """The paper's own TeX files.

    Raises:
        UserError: there is no manuscript.
    """
    manuscript = paper / DOCUMENTS[0].root
    if not manuscript.is_file():
        raise UserError(f"{manuscript} is not there; it is the file that the paper starts from")
    paths = [path for place in _TEXTS for path in sorted(paper.glob(place))]
    return [_source(path, paper) for path in paths]


def _source(path: Path, paper: Path) -> Source:
    return Source(_display_path(path, paper), path.read_text("utf-8"))


def _display_path(path: Path, paper: Path) -> str:
    """A path relative to the folder that holds the paper, as authors write it."""
    return str(path.relative_to(paper.parent))


def _edition_tex(edition: Edition) -> str:
    """The first lines that TeX reads, in plain TeX since they precede the document class."""
    mark = rf"\def\editionmark{{{escaped(edition.mark)}}}"
    commands = tables.COMMANDS | COMMANDS
    known = [
        rf"\expandafter\def\csname value:command:{name}\endcsname{{{escaped(command)}}}"
        for name, command in sorted(commands.items())
    ]
    return "\n".join([_DETERMINISTIC, mark, *known, ""])


def _digest(tex: str, files: Sequence[Path], work: Path) -> str:
    digest = hashlib.sha256(f"{tex}\n".encode())
    for file in files:
        digest.update(f"{file.relative_to(work)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _draft_labels(document: Document, work: Path, seconds: int) -> None:
    """Find the labels of a document that was never typeset by one run in draft mode.

    Numbers are right after one run. What else is wrong is told when it is typeset.
    """
    draft = f"{document.job}-draft"
    _run_tex(["pdflatex", "-draftmode", f"-jobname={draft}", document.root], work, seconds)
    _keep_labels(document, work / f"{draft}.aux")
    for leftover in work.glob(f"{draft}.*"):
        leftover.unlink()


def _keep_labels(document: Document, auxiliary: Path) -> None:
    found = labels_of(auxiliary.read_text("utf-8", "replace")) if auxiliary.is_file() else ""
    _write_if_changed(auxiliary.with_name(document.labels), found)


def _typeset_if_changed(
    document: Document, key: str, paper: Path, build: Path, seconds: int
) -> None:
    work, pdf = build / "paper", build / f"{document.job}.pdf"
    note = work / f"{document.job}.key"
    if pdf.is_file() and note.is_file():
        content = hashlib.sha256(pdf.read_bytes()).hexdigest()
        if note.read_text("utf-8").split() == [key, content]:
            return
    typeset = _typeset(document, work, paper, seconds).read_bytes()
    write_whole(pdf, typeset)
    content = hashlib.sha256(typeset).hexdigest()
    note.write_text(f"{key} {content}\n", "utf-8")


def _typeset(document: Document, work: Path, paper: Path, seconds: int) -> Path:
    """Run TeX until references settle, without files of earlier runs."""
    for leftover in work.glob(f"{document.job}.*"):
        if leftover.name != document.root:
            leftover.unlink()
    command = ["latexmk", "-norc", "-pdf", f"-jobname={document.job}", document.root]
    run = _run_tex(command, work, seconds)
    log, pdf = work / f"{document.job}.log", work / f"{document.job}.pdf"
    text = log.read_text("utf-8", "replace") if log.is_file() else ""
    found = list(texlog.tex_messages(text, document.root))
    if run.returncode == 0 and pdf.is_file():
        _keep_labels(document, work / f"{document.job}.aux")
    if found or run.returncode != 0 or not pdf.is_file():
        kind = _UnknownLabels if found and all(each.is_reference for each in found) else UserError
        raise kind(_failure(found, log, paper, run.stdout + run.stderr))
    return pdf


def _run_tex(command: list[str], work: Path, seconds: int) -> subprocess.CompletedProcess[str]:
    program, *options = command
    always = ["-halt-on-error", "-interaction=nonstopmode", "-file-line-error"]
    return subprocess.run(
        [program, *always, *options],
        cwd=work,
        env=_environment(seconds),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _failure(found: list[texlog.TexMessage], log: Path, paper: Path, output: str) -> str:
    if not found:
        said = [line for line in output.splitlines() if line.strip()]
        return f"TeX failed and {log} does not say where; it ends: {said[-1] if said else 'empty'}"
    # After an error, undefined references may only be due to the aborted run.
    found = [message for message in found if message.stops] or found
    more = f" (and {len(found) - 1} more in {log})" if len(found) > 1 else ""
    # Copied files are named by their source, rendered ones by their place in the build.
    folder = paper.name if (paper / found[0].file).is_file() else str(log.parent)
    return f"{folder}/{found[0]}{more}"


def _environment(seconds: int) -> dict[str, str]:
    # The caller's environment must not affect the result: fonts, search paths, language, clock.
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": "no-home",
        "TEXMFHOME": "no-home",
        "TEXMFVAR": "no-home",
        "TEXMFCONFIG": "no-home",
        "SOURCE_DATE_EPOCH": str(seconds),
        "FORCE_SOURCE_DATE": "1",
        "TZ": "UTC",
        "LC_ALL": "C",
        # By default TeX wraps its log in the middle of file names.
        "max_print_line": "10000",
        "openout_any": "p",
    }


def _seconds(date: str) -> int:
    try:
        return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise UserError(
            f"{date!r} is no date of a locked run; provenance must hold one like 2026-01-31"
        ) from None


def _write_if_changed(path: Path, text: str) -> Path:
    if not (path.is_file() and path.read_text("utf-8") == text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return path


def _remove_stale(work: Path, contents: dict[Path, str]) -> None:
    """Delete assembled files without a source, such as a renamed section's."""
    places = [*_TEXTS, "tables/*.tex"]
    for path in [path for place in places for path in work.glob(place)]:
        if path.relative_to(work) not in contents:
            path.unlink()
