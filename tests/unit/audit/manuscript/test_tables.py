from dataclasses import replace

import pytest

from audit.manuscript import tables
from audit.manuscript.edition import StageCost
from helpers.manuscript_values import edition
from helpers.repository import ROOT
from seedstability.errors import UserError


def rendered(folder, text: str) -> str:
    template = folder / "t.tex.j2"
    template.write_text(text)
    return tables.render(template, edition(), "paper/tables/t.tex.j2")


def test_table_prints_the_same_as_the_text(tmp_path):
    text = r"""\begin{tabular}{lr} % a comment stays
<% for name, point in tree("chance.points").items() %>
  << point.report >> & << result("chance.points." ~ name ~ ".reported") >> \\
<% endfor %>
<# gone #>
  << text("chance.size.model") >> & << interval("chance.size.similarity") >> \\
\end{tabular}"""
    assert rendered(tmp_path, text).splitlines() == [
        r"\begin{tabular}{lr} % a comment stays",
        r"  one & 0.302 \\",
        r"  two & 0.500 \\",
        r"  small\_model \& more & [0.300, 0.305] \\",
        r"\end{tabular}",
    ]


def test_plain_strings_are_escaped(tmp_path):
    assert rendered(tmp_path, "<< edition.stages[0].name >> << 'a_b' >>") == "chance/size a\\_b"


def test_table_of_costs_sums_by_experiment_and_lists_the_most_expensive(tmp_path):
    costs = [StageCost("one/a", 3.0, 700.0), StageCost("one/b", 40.0, 500.0)]
    costs += [StageCost(f"two/{i}", 1.0, 100.0) for i in range(40)]
    template = ROOT / "paper" / "tables" / "stages.tex.j2"
    text = tables.render(template, replace(edition(), stages=costs))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    joined = " ".join(lines)
    assert r"\texttt{one} & 2 & 43 & 700 \\" in joined
    assert r"\texttt{two} & 40 & 40 & 100 \\" in joined
    assert r"All & 42 & 83 & 700 \\" in joined
    named = [line for line in lines if "scriptsize" in line]
    assert named[0] == r"\texttt{\scriptsize one/b} & 40 \\"
    assert named[1] == r"\texttt{\scriptsize one/a} & 3 \\"
    assert len(named) == 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('one\n<< result("chance.size.similarty") >>', ":2: .*near: .*similarity"),
        ("one\n\n<< nobody >>", ":3: 'nobody' is undefined"),
        ('<< tree("chance.points").third.reported >>', ":1: .*third"),
        ("one\n<% if %>", ":2: "),
        ("<< 1 | nofilter >>", ":1: .*nofilter"),
    ],
)
def test_errors_have_template_and_line(tmp_path, text, said):
    with pytest.raises(UserError, match=rf"^paper/tables/t\.tex\.j2{said}"):
        rendered(tmp_path, text)
