"""From text, templates, figures and locked values to one PDF, the same file everywhere.

Everything is assembled in `build/paper/` and typeset there, so that no path of this machine
reaches the document. Nothing is typeset when nothing it depends on has changed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from audit.manuscript import digits, figures, macros, tables, texlog
from audit.manuscript.edition import Edition
from audit.manuscript.figures import FIGURES, Figure
from audit.manuscript.latex import escaped
from audit.manuscript.macros import Source
from seedstability.errors import UserError

MANUSCRIPT = "manuscript.tex"
# The document's name reaches the PDF, so it is not derived from a path.
JOB = "paper"
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
_DETERMINISTIC = r"\pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1"


def build_paper(
    edition: Edition,
    paper: Path = Path("paper"),
    build: Path = Path("build"),
    drawn: Sequence[Figure] = FIGURES,
) -> Path:
    """Render the paper, or return the PDF that is there when it is the one that would come out.

    Args:
        edition: the values and what they say about themselves.
        paper: folder with `manuscript.tex`, `sections/`, `tables/` and `references.bib`.
        build: folder that receives `paper.pdf`; working files go to its `paper/`.
        drawn: the figures of this paper.

    Returns:
        Path of the PDF.

    Raises:
        UserError: for whatever the author, or whoever installed TeX, can put right; files and
            lines are named. The previous PDF is left alone.
    """
    try:
        work = build / "paper"
        work.mkdir(parents=True, exist_ok=True)
        # Two builds at once would typeset each other's files.
        with _held(work / "lock"):
            files = assemble(edition, paper, work, drawn)
            return _typeset_if_changed(files, edition, paper, build / "paper.pdf")
    except OSError as problem:
        raise UserError(
            f"{problem.filename or build}: {problem.strerror or problem}; the paper needs a"
            f" readable {paper}/ and room to write in {build}/"
        ) from None


def assemble(edition: Edition, paper: Path, work: Path, drawn: Sequence[Figure]) -> list[Path]:
    """Bring everything that TeX reads into the working folder.

    Returns:
        The files TeX will read, in a fixed order.

    Raises:
        UserError: naming file and line, for a typed figure or an address that is not there.
    """
    typed = _sources(paper)
    templates = sorted(paper.glob(f"tables/*{tables.SUFFIX}"))
    for source in [*typed, *(_source(template, paper) for template in templates)]:
        digits.check(source)

    made = {t: tables.render(t, edition, _shown(t, paper)) for t in templates}
    rendered = [Source(_shown(template, paper), text) for template, text in made.items()]
    contents = {Path(s.name).relative_to(paper.name): s.text for s in typed}
    for template, text in made.items():
        name = template.name.removesuffix(tables.SUFFIX)
        contents[Path("tables") / f"{name}.tex"] = text
    contents[Path("values.tex")] = macros.values_tex([*typed, *rendered], edition)
    contents[Path("edition.tex")] = _edition_tex(edition, drawn)
    for bibliography in sorted(paper.glob("*.bib")):
        contents[Path(bibliography.name)] = bibliography.read_text("utf-8")

    _remove_strangers(work, contents)
    written = [_write_if_changed(work / name, text) for name, text in contents.items()]
    pictures = [figures.render(f, edition.values, work / "figures") for f in drawn]
    return sorted([*written, *pictures])


def require_tex() -> str:
    """First line of `pdflatex --version`.

    Raises:
        UserError: saying what to install, when a program of TeX is missing.
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


def _sources(paper: Path) -> list[Source]:
    manuscript = paper / MANUSCRIPT
    if not manuscript.is_file():
        raise UserError(f"{manuscript} is not there; it is the file that the paper starts from")
    paths = [*sorted(paper.glob("*.tex")), *sorted(paper.glob("sections/*.tex"))]
    return [_source(path, paper) for path in paths]


def _source(path: Path, paper: Path) -> Source:
    return Source(_shown(path, paper), path.read_text("utf-8"))


def _shown(path: Path, paper: Path) -> str:
    """A path as authors say it, from the folder that holds the paper."""
    return str(path.relative_to(paper.parent))


def _edition_tex(edition: Edition, drawn: Sequence[Figure]) -> str:
    """The first lines TeX reads; plain TeX, for they stand before the document class."""
    mark = rf"\def\editionmark{{{escaped(edition.mark)}}}"
    commands = tables.COMMANDS | {figure.name: figure.command for figure in drawn}
    known = [
        rf"\expandafter\def\csname value:command:{name}\endcsname{{{escaped(command)}}}"
        for name, command in sorted(commands.items())
    ]
    return "\n".join([_DETERMINISTIC, mark, *known, ""])


def _typeset_if_changed(files: list[Path], edition: Edition, paper: Path, pdf: Path) -> Path:
    work = pdf.parent / "paper"
    version = require_tex()
    seconds = _seconds(edition.date)
    digest = hashlib.sha256(f"{version}\n{seconds}\n".encode())
    for file in files:
        digest.update(f"{file.relative_to(work)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    note = work / "paper.key"
    if pdf.is_file() and note.is_file():
        content = hashlib.sha256(pdf.read_bytes()).hexdigest()
        if note.read_text("utf-8").split() == [digest.hexdigest(), content]:
            return pdf
    typeset = _typeset(work, paper, seconds)
    content = hashlib.sha256(typeset.read_bytes()).hexdigest()
    scratch = pdf.with_name(f".{pdf.name}.{os.getpid()}")
    try:
        shutil.copyfile(typeset, scratch)
        scratch.replace(pdf)
    finally:
        scratch.unlink(missing_ok=True)
    note.write_text(f"{digest.hexdigest()} {content}\n", "utf-8")
    return pdf


def _typeset(work: Path, paper: Path, seconds: int) -> Path:
    """Run TeX until nothing moves; from nothing, so that no earlier run can show in the result."""
    for leftover in work.glob(f"{JOB}.*"):
        leftover.unlink()
    run = subprocess.run(
        [
            "latexmk",
            "-norc",
            "-pdf",
            "-halt-on-error",
            "-interaction=nonstopmode",
            "-file-line-error",
            f"-jobname={JOB}",
            MANUSCRIPT,
        ],
        cwd=work,
        env=_environment(seconds),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    log = work / f"{JOB}.log"
    found = list(texlog.complaints(log.read_text("utf-8", "replace"))) if log.is_file() else []
    pdf = work / f"{JOB}.pdf"
    if found or run.returncode != 0 or not pdf.is_file():
        raise UserError(_verdict(found, work, paper, run.stdout + run.stderr))
    return pdf


def _verdict(found: list[texlog.TexMessage], work: Path, paper: Path, output: str) -> str:
    log = work / f"{JOB}.log"
    if not found:
        said = [line for line in output.splitlines() if line.strip()]
        return f"TeX failed and {log} does not say where; it ends: {said[-1] if said else 'empty'}"
    # A run that stopped has references undefined that the next run would have known.
    found = [complaint for complaint in found if complaint.stops] or found
    more = f" (and {len(found) - 1} more in {log})" if len(found) > 1 else ""
    # What was copied is put right where it came from; what was made is looked at where it is.
    folder = paper.name if (paper / found[0].file).is_file() else str(work)
    return f"{folder}/{found[0]}{more}"


def _environment(seconds: int) -> dict[str, str]:
    # Nothing of the caller's environment may show: fonts, search paths, language, clock.
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
        # TeX breaks its log after so many characters, in the middle of file names.
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


def _remove_strangers(work: Path, contents: dict[Path, str]) -> None:
    """A section that was renamed must not be found under its old name."""
    for path in [*work.glob("*.tex"), *work.glob("sections/*.tex"), *work.glob("tables/*.tex")]:
        if path.relative_to(work) not in contents:
            path.unlink()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
