"""Which files a document reads, and which labels the others may refer to."""

import re
from pathlib import Path

import pytest

from audit.manuscript.documents import DOCUMENTS, Document, files_read, labels_of
from helpers.repository import ROOT

ONE = Document("one", "one.tex")
TEXTS = {
    "one.tex": r"\input{macros}\input{sections/body}\bibliography{references}",
    "macros.tex": r"\newcommand{\papertable}[2]{\input{tables/#1}}",
    "sections/body.tex": r"\papertable{few}{C.}\paperfigure{drawn}{C.}\paperfigurehere{here}{C.}",
    "tables/few.tex": "a",
    "figures/drawn.pdf": "b",
    "figures/here.pdf": "c",
    "references.bib": "d",
    "sections/other.tex": "e",
    "tables/other.tex": "f",
}


@pytest.fixture
def work(tmp_path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_document_reads_what_it_names_and_nothing_else(work):
    read = {str(path.relative_to(work)) for path in files_read(ONE, work)}
    assert read == {name for name in TEXTS if "other" not in name}


def test_a_document_without_its_root_reads_nothing(tmp_path):
    assert files_read(ONE, tmp_path) == []


def test_labels_are_those_of_the_text_without_their_pages():
    auxiliary = (
        "\\relax \n\\newlabel{sec:one}{{S1}{2}{A {\\em b}}{section.1}{}}\n"
        "\\newlabel{tocindent-1}{0pt}\n\\newlabel{sec:one@cref}{{x}{1}}\n\\citation{a}\n"
        "\\newlabel{eq:two}{{\\relax S2}{14}{}{equation.2}{}}\n"
    )
    assert labels_of(auxiliary) == (
        "\\newlabel{sec:one}{{S1}{}{A {\\em b}}{section.1}{}}\n"
        "\\newlabel{eq:two}{{\\relax S2}{}{}{equation.2}{}}\n"
    )


def typed(name: str) -> str:
    return (ROOT / "paper" / name).read_text("utf-8")


def test_each_section_of_the_repository_is_in_one_document():
    inputs = [
        name
        for document in DOCUMENTS
        for name in re.findall(r"\\input\{((?:main|sections)/[^{}]*)\}", typed(document.root))
    ]
    there = {
        f"{folder}/{path.stem}"
        for folder in ("main", "sections")
        for path in (ROOT / "paper" / folder).glob("*.tex")
    }
    assert sorted(inputs) == sorted(there)


def test_each_float_stands_in_one_document():
    texts = "".join(
        path.read_text("utf-8")
        for folder in ("main", "sections")
        for path in (ROOT / "paper" / folder).glob("*.tex")
    )
    floats = re.findall(r"\\paper(figure|table)(?:here)?\{(\w+)\}", texts)
    assert len(floats) > 40
    assert sorted(floats) == sorted(set(floats))
