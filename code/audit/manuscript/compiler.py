"""Compile text, templates, figures and locked values to one PDF, the same file on any machine.

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
from audit.manuscript.edition import Edition
from audit.manuscript.latex import escaped
from audit.manuscript.macros import Source
from audit.pipeline.graph.keys import current_sources
from audit.pipeline.graph.sources import Sources
from seedstability.errors import UserError
from seedstability.files import exclusive, write_whole

MANUSCRIPT = "manuscript.tex"
# The PDF contains the job's name, so it is not derived from a path.
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
    sources: Sources | None = None,
) -> Path:
    """Render the paper, unless the existing PDF is current.

    Args:
        edition: the values, and facts about the run behind them.
        paper: folder with `manuscript.tex`, `sections/`, `tables/` and `references.bib`.
        build: folder for `paper.pdf`; working files go to its `paper/`.
        drawn: the figures of this paper.
        sources: our code; as it is now by default.

    Returns:
        Path of the PDF.

    Raises:
        UserError: a mistake in the paper or an incomplete TeX, with file and line. The previous PDF
            is kept.
    """
    try:
        work = build / "paper"
        work.mkdir(parents=True, exist_ok=True)
        # Concurrent builds would typeset each other's files.
        with exclusive(work / "lock"):
            files = assemble(edition, paper, work, drawn, sources or current_sources(build))
            return _typeset_if_changed(files, edition, paper, build / "paper.pdf")
    except OSError as problem:
        raise UserError(
            f"{problem.filename or build}: {problem.strerror or problem}; the paper needs a"
            f" readable {paper}/ and room to write in {build}/"
        ) from None


def assemble(
    edition: Edition, paper: Path, work: Path, drawn: Sequence[Figure], sources: Sources
) -> list[Path]:
    """Assemble all files that TeX reads in the working folder.

    Returns:
        The files that TeX reads, in a fixed order.

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
    written = [_write_if_changed(work / name, text) for name, text in contents.items()]
    pictures = [figures.render(f, edition.values, work / "figures", sources) for f in drawn]
    return sorted([*written, *pictures])


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
    manuscript = paper / MANUSCRIPT
    if not manuscript.is_file():
        raise UserError(f"{manuscript} is not there; it is the file that the paper starts from")
    paths = [*sorted(paper.glob("*.tex")), *sorted(paper.glob("sections/*.tex"))]
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
    typeset = _typeset(work, paper, seconds).read_bytes()
    write_whole(pdf, typeset)
    content = hashlib.sha256(typeset).hexdigest()
    note.write_text(f"{digest.hexdigest()} {content}\n", "utf-8")
    return pdf


def _typeset(work: Path, paper: Path, seconds: int) -> Path:
    """Run TeX until references settle, without files of earlier runs."""
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
    found = list(texlog.tex_messages(log.read_text("utf-8", "replace"))) if log.is_file() else []
    pdf = work / f"{JOB}.pdf"
    if found or run.returncode != 0 or not pdf.is_file():
        raise UserError(_failure(found, work, paper, run.stdout + run.stderr))
    return pdf


def _failure(found: list[texlog.TexMessage], work: Path, paper: Path, output: str) -> str:
    log = work / f"{JOB}.log"
    if not found:
        said = [line for line in output.splitlines() if line.strip()]
        return f"TeX failed and {log} does not say where; it ends: {said[-1] if said else 'empty'}"
    # After an error, undefined references may only be due to the aborted run.
    found = [message for message in found if message.stops] or found
    more = f" (and {len(found) - 1} more in {log})" if len(found) > 1 else ""
    # Copied files are named by their source, rendered ones by their place in the build.
    folder = paper.name if (paper / found[0].file).is_file() else str(work)
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
    for path in [*work.glob("*.tex"), *work.glob("sections/*.tex"), *work.glob("tables/*.tex")]:
        if path.relative_to(work) not in contents:
            path.unlink()
