import pytest

from audit.manuscript.macros import Source
from audit.manuscript.predicates import bound_sentences
from audit.manuscript.unbound import unbound_sentences
from helpers.repository import ROOT


def found(text: str) -> list[tuple[str, str]]:
    return [(each.place, each.word) for each in unbound_sentences(Source("a.tex", text))]


def test_a_word_beside_a_result_asks_for_a_predicate():
    text = "First.\nIt is \\result{a.b},\nmore than \\result{a.c}. Then\n\\result{a.d}."
    assert found(text) == [("a.tex:2", "more")]


@pytest.mark.parametrize(
    "text",
    [
        "It is \\result{a.b}.",
        "It is larger. It is \\result{a.b}.",
        "It is \\result{a.more.than}.",
        "More than \\result{modular.settings.seeds} seeds.",
        "% It is more, \\result{a.b}.",
        "\\holds{a.b > a.c}{It is \\result{a.b}, more than \\result{a.c}.}",
        "\\unbound{the report's words}{It is \\result{a.b}, \\emph{more} than \\result{a.c}.}",
    ],
)
def test_what_needs_none(text):
    assert found(text) == []


def test_a_bound_sentence_binds_no_other():
    text = "\\holds{a.b > 1}{It is \\result{a.b}, more.}\nIt falls to \\result{a.b}."
    assert found(text) == [("a.tex:2", "falls")]


def test_captions_items_and_semicolons_end_sentences():
    text = "\\item It rises to\n\\result{a.b};\nThe same.\n\\papertable{x}{Fewer, \\result{a.b}.}"
    assert found(text) == [("a.tex:2", "rises"), ("a.tex:4", "Fewer")]


def test_a_heading_that_states_something_asks_for_a_predicate_without_a_result():
    text = "\\section{A}\n\\subsection{No jump above chance}\n\\paragraph{Is there more?} It is so."
    assert found(text) == [("a.tex:2", "No")]
    assert found("\\section{\\holds{a.b < 0}{No jump above chance}}") == []


def test_every_sentence_of_the_paper_that_needs_a_predicate_is_bound():
    sources = [
        Source(path.name, path.read_text("utf-8"))
        for path in sorted((ROOT / "paper").rglob("*.tex"))
    ]
    found = [each for source in sources for each in unbound_sentences(source)]
    assert not found, "\n".join(f"{each.place}: {each.sentence}" for each in found)


def test_every_finding_of_the_readme_is_bound():
    text = (ROOT / "README.md").read_text("utf-8")
    findings = text.partition("What comes out, in short:")[2].partition("\n\n`./inv verify`")[0]
    bound = [each.sentence for each in bound_sentences(Source("README.md", text))]
    items = [each for each in findings.split("\n- ")[1:] if each]
    assert len(items) == len(bound) > 0
    for item, sentence in zip(items, bound, strict=True):
        assert item.startswith(sentence)
