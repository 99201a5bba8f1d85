import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from audit.experiments.common.declaration import Figure
from audit.manuscript import compiler
from audit.manuscript.compiler import PROGRAMS, build_paper
from helpers.manuscript_values import edition
from helpers.repository import ROOT
from seedstability.errors import UserError

PAPER = ROOT / "paper"
DRAWN = (Figure("headline", "chance.points", "chance.headline"),)
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
tex = pytest.mark.skipif(bool(MISSING), reason=f"needs TeX: no {', '.join(MISSING)} on the PATH")

MANUSCRIPT = r"""\input{edition}
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[a4paper,textwidth=160mm]{geometry}
\usepackage{lmodern,graphicx,xcolor,booktabs}
\usepackage[numbers]{natbib}
\usepackage{microtype}\DisableLigatures[-]{encoding=T1,family=tt*}
\usepackage{hyperref}
\input{names}\input{macros}\input{values}
\begin{document}
\input{sections/body}
\bibliographystyle{plainnat}\bibliography{references}
\end{document}
"""
BODY = r"""The similarity is \result{chance.size.similarity} \cite{cohen1960kappa}.
See Figure~\ref{fig:headline}.
\paperfigure{headline}{Points.}
\input{tables/samples}
"""
TABLE = r'\begin{tabular}{l} << result("chance.size.samples") >> \end{tabular}'


@pytest.fixture(scope="module")
def built_once(tmp_path_factory) -> Path:
    """A paper with its build folder, shared because drawing and typesetting are slow."""
    folder = tmp_path_factory.mktemp("once")
    paper = small_paper(folder)
    with contextlib.suppress(UserError):  # without TeX the figures are drawn all the same
        built(paper)
    return folder


@pytest.fixture
def paper(tmp_path, built_once) -> Path:
    return shutil.copytree(built_once, tmp_path / "here") / "paper"


def small_paper(folder: Path) -> Path:
    paper = folder / "paper"
    for name in ("sections", "tables"):
        (paper / name).mkdir(parents=True)
    for name in ("macros.tex", "names.tex", "references.bib"):
        shutil.copyfile(PAPER / name, paper / name)
    (paper / "manuscript.tex").write_text(MANUSCRIPT)
    (paper / "sections/body.tex").write_text(BODY)
    (paper / "tables/samples.tex.j2").write_text(TABLE)
    return paper


def built(paper: Path, **changes) -> Path:
    return build_paper(edition(**changes), paper, paper.parent / "build", DRAWN)[0]


@tex
def test_paper_has_its_values_and_no_trace_of_this_machine(paper):
    pdf = built(paper)
    pages = PdfReader(pdf).pages
    text = "".join(page.extract_text() for page in pages)
    assert "The similarity is 0.302" in text
    assert "10,215" in text
    assert "Made by invoke experiments --only chance" in text.replace("\n", " ")
    assert "DRAFT" not in text
    reader = PdfReader(pdf)
    assert not {"/CreationDate", "/ModDate"} & set(reader.metadata)
    objects = [reader.get_object(number) for number in range(1, len(reader.xref_objStm) + 1)]
    said = str(objects) + str(pdf.read_bytes())
    for trace in (str(paper.parent), os.environ.get("HOME", "/root"), "/PTEX."):
        assert trace not in said


def hostile_settings(home: Path) -> dict[str, str]:
    """Settings of a user's own that a program below might take up."""
    home.mkdir(parents=True)
    (home / ".latexmkrc").write_text("$pdf_mode = 5; $out_dir = 'elsewhere'; $pdflatex = 'false';")
    (home / "matplotlibrc").write_text("font.size: 30\nlines.linewidth: 9\nsavefig.bbox: tight\n")
    (home / "lmodern.sty").write_text(r"\errmessage{not the one that was meant}")
    return {
        "HOME": str(home),
        "MATPLOTLIBRC": str(home / "matplotlibrc"),
        "TEXINPUTS": f"{home}:",
        "OMP_NUM_THREADS": "7",
        "PIP_USER": "1",
        "PYTHONHASHSEED": "7",
    }


@tex
def test_pdf_does_not_depend_on_folder_time_zone_locale_umask_and_the_users_settings(tmp_path):
    script = (
        "import os, sys; os.umask(int(sys.argv[2])); sys.path[:0] = sys.argv[3:6];"
        "from pathlib import Path; from test_compiler import built;"
        "built(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    here = Path(__file__).parent
    builds, hashes = [], set()
    for name, zone, language, mask, settings in (
        ("one", "UTC", "C", 0o022, {"HOME": str(tmp_path / "one")}),
        ("a longer näme", "Asia/Tokyo", "C.utf8", 0o077, hostile_settings(tmp_path / "home")),
    ):
        paper = small_paper(tmp_path / name)
        words = [
            sys.executable,
            "-c",
            script,
            paper,
            str(mask),
            here,
            ROOT / "tests",
            ROOT / "code",
        ]
        ours = {"TZ": zone, "LC_ALL": language, **settings}
        builds.append((paper, subprocess.Popen(words, env={**os.environ, **ours})))
    for paper, build in builds:
        assert build.wait() == 0
        hashes.add(hashlib.sha256((paper.parent / "build/paper.pdf").read_bytes()).hexdigest())
    assert len(hashes) == 1


@tex
def test_unchanged_paper_is_not_typeset_again(paper, monkeypatch):
    pdf = built(paper)
    before = pdf.stat().st_mtime_ns
    monkeypatch.setattr("audit.manuscript.compiler._typeset", _must_not_run)
    assert built(paper).stat().st_mtime_ns == before
    with pytest.raises(AssertionError, match="typeset"):
        built(paper, date="2026-02-01")
    (paper / "sections/body.tex").write_text(BODY.replace("The similarity", "Similarity"))
    with pytest.raises(AssertionError, match="typeset"):
        built(paper)


@tex
def test_damaged_pdf_is_made_again(paper):
    pdf = built(paper)
    whole = pdf.read_bytes()
    pdf.write_bytes(whole[:-10])
    assert built(paper).read_bytes() == whole


@tex
@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"draft": True}, "DRAFT"),
        ({"profile": "smoke"}, "SMOKE PROFILE"),
        ({"draft": True, "profile": "smoke"}, "DRAFT – SMOKE PROFILE"),
    ],
)
def test_drafts_and_other_profiles_are_marked_on_every_page(paper, changes, mark):
    (paper / "sections/body.tex").write_text(BODY + "\\clearpage\nmore\n")
    pages = PdfReader(built(paper, **changes)).pages
    assert len(pages) > 1
    for page in pages:
        assert mark in page.extract_text()


@tex
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (r"\nope", r"/sections/body\.tex:5: Undefined control sequence"),
        (r"\cite{nobody2020}", r"/sections/body\.tex:5: Citation `nobody2020' undefined"),
        (r"\ref{fig:nothing}", r"/sections/body\.tex:5: Reference `fig:nothing' undefined"),
        (r"\mbox{\hspace{30cm}}", r"/sections/body\.tex:\d: Overfull \\hbox"),
    ],
)
def test_tex_errors_have_a_place_and_the_last_pdf_stays(paper, wrong, said):
    before = built(paper).read_bytes()
    (paper / "sections/body.tex").write_text(BODY + wrong + "\n\n")
    with pytest.raises(UserError, match=rf"^paper{said}"):
        built(paper)
    assert (paper.parent / "build/paper.pdf").read_bytes() == before


SUPPLEMENT = (
    MANUSCRIPT.replace("sections/body", "sections/behind")
    .replace(
        r"\begin{document}",
        r"\externaldocument{labels-paper}[paper.pdf]\renewcommand{\thesection}{S\arabic{section}}"
        r"\begin{document}",
    )
    .replace(r"\usepackage{hyperref}", r"\usepackage{xr-hyper}\usepackage{hyperref}")
)
REFERRING = MANUSCRIPT.replace(
    r"\begin{document}", r"\externaldocument{labels-supplement}[supplement.pdf]\begin{document}"
).replace(r"\usepackage{hyperref}", r"\usepackage{xr-hyper}\usepackage{hyperref}")


@pytest.fixture
def two(paper) -> Path:
    """A paper and a supplement, each of which refers to the other."""
    (paper / "manuscript.tex").write_text(REFERRING)
    (paper / "supplement.tex").write_text(SUPPLEMENT)
    (paper / "sections/body.tex").write_text(BODY + "Proved in Section~\\ref{sec:behind}.\n")
    (paper / "sections/behind.tex").write_text(
        "\\section{Behind}\\label{sec:behind} Drawn in Figure~\\ref{fig:headline}"
        " \\cite{cohen1960kappa}.\n"
    )
    return paper


def links_to_files(pdf: Path) -> set[str]:
    pages = PdfReader(pdf).pages
    actions = [
        note.get_object().get("/A", {}) for page in pages for note in page.get("/Annots", [])
    ]
    return {str(action["/F"]) for action in actions if action.get("/S") == "/GoToR"}


@tex
def test_paper_and_supplement_have_each_others_numbers_and_links(two):
    build = two.parent / "build"
    made = build_paper(edition(), two, build, DRAWN)
    assert made == [build / "paper.pdf", build / "supplement.pdf"]
    assert "Proved in Section S1" in _text(made[0])
    assert "Drawn in Figure 1" in _text(made[1])
    assert links_to_files(made[0]) == {"supplement.pdf"}
    assert links_to_files(made[1]) == {"paper.pdf"}


@tex
def test_an_edit_typesets_one_document_and_a_moved_number_both(two, monkeypatch):
    typeset, again = [], compiler._typeset

    def counting(document, *rest):
        typeset.append(document.job)
        return again(document, *rest)

    monkeypatch.setattr(compiler, "_typeset", counting)
    built(two)
    typeset.clear()
    behind = two / "sections/behind.tex"
    behind.write_text(behind.read_text().replace("Drawn", "Painted"))
    built(two)
    assert typeset == ["supplement"]
    typeset.clear()
    behind.write_text("\\section{Before}\n" + behind.read_text())
    built(two)
    assert sorted(typeset) == ["paper", "supplement"]
    assert "Proved in Section S2" in _text(two.parent / "build/paper.pdf")


@tex
def test_labels_that_are_new_in_both_documents_are_found_at_once(two):
    built(two)
    for name, own, other in (("body", "here", "there"), ("behind", "there", "here")):
        section = two / f"sections/{name}.tex"
        added = f"\\section{{New}}\\label{{sec:{own}}} Beside Section~\\ref{{sec:{other}}}.\n"
        section.write_text(section.read_text() + added)
    assert "Beside Section S2" in _text(built(two))
    assert "Beside Section 1" in _text(two.parent / "build/supplement.pdf")


@tex
def test_a_label_that_is_gone_from_the_other_document_is_named(two):
    built(two)
    (two / "sections/behind.tex").write_text("\\section{Behind} Nothing to refer to.\n")
    for _ in range(2):
        with pytest.raises(UserError, match=r"body\.tex:.*`sec:behind' undefined"):
            built(two)


@tex
def test_an_edit_of_a_number_is_seen_whichever_document_comes_first(two):
    built(two)
    (two / "sections/body.tex").write_text(
        BODY.replace("See", "\\paperfigure{headline}{First.} See")
    )
    with pytest.raises(UserError, match="multiply defined"):
        built(two)


@tex
def test_edit_of_the_macros_that_tables_share_makes_a_new_pdf(paper):
    shared = paper / "tables/macros.tex.j2"
    imported = '<% from "macros.tex.j2" import said %>'
    (paper / "tables/samples.tex.j2").write_text(f"{imported}<< said() >>")
    shared.write_text("<% macro said() %>Before the edit.<% endmacro %>")
    assert "Before the edit." in _text(built(paper))
    shared.write_text("<% macro said() %>After the edit.<% endmacro %>")
    assert "After the edit." in _text(built(paper))
    assert not (paper.parent / "build/paper/tables/macros.tex").exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "sections/body.tex",
            r"\result{chance.nothing}",
            r"^paper/sections/body\.tex:1: .*there is nothing at",
        ),
        ("sections/body.tex", "It is 0.302.", r"body\.tex:1: the figure 0\.302 is typed"),
        ("tables/samples.tex.j2", "<< nobody >>", r"samples\.tex\.j2:1: 'nobody' is undefined"),
        ("tables/samples.tex.j2", "0.302", r"samples\.tex\.j2:1: the figure 0\.302 is typed"),
        ("tables/macros.tex.j2", "0.302", r"macros\.tex\.j2:1: the figure 0\.302 is typed"),
    ],
)
def test_mistakes_of_the_author_are_reported_before_tex_runs(paper, monkeypatch, file, text, said):
    monkeypatch.setattr("audit.manuscript.compiler.require_tex", _must_not_run)
    (paper / file).write_text(text)
    with pytest.raises(UserError, match=said):
        built(paper)


def test_missing_tex_error_says_what_to_install(paper, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r"no pdflatex, latexmk, bibtex .* apt-get install .*lmodern"
    ):
        built(paper)


def test_unwritable_folder_error_is_one_line(paper):
    shutil.rmtree(paper.parent / "build")
    (paper.parent / "build").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"build.*: (Not a directory|File exists); the paper needs"):
        built(paper)


def test_invalid_date_is_refused(paper):
    with pytest.raises(UserError, match="no date of a locked run"):
        built(paper, date="yesterday")


def test_file_of_a_renamed_section_is_deleted(paper):
    work = paper.parent / "build/paper"
    (work / "sections/old.tex").write_text("left over")
    with pytest.raises(UserError, match="no date"):
        built(paper, date="yesterday")
    assert not (work / "sections/old.tex").exists()


def _must_not_run(*_):
    raise AssertionError("nothing must be typeset here")


def _text(pdf: Path) -> str:
    return "".join(page.extract_text() for page in PdfReader(pdf).pages)
