from dataclasses import replace

import pytest

from audit.manuscript import tables
from audit.manuscript.edition import StageCost
from helpers.manuscript_values import edition
from helpers.repository import ROOT
from seedstability.errors import UserError

CELLS = """<# shared #>
<% macro cells(pattern, names) %>
<% for name in names %> & << result(pattern ~ name) >><% endfor %>
<% endmacro %>
<% macro small(title) %>{\\small << title >>: << caller() >>}<% endmacro %>
"""


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


def test_tables_share_macros_which_see_the_values(tmp_path):
    (tmp_path / tables.MACROS).write_text(CELLS)
    text = r"""<% from "macros.tex.j2" import cells, small %>
similarity<< cells("chance.size.", ("similarity", "samples")) >> \\
<% call small("a_b") %>c\_d << "e_f" >><% endcall %>"""
    lines = rendered(tmp_path, text).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        r"similarity & 0.302 & 10{,}215 \\",
        r"{\small a\_b: c\_d e\_f}",
    ]


def test_no_table_is_made_of_the_macros(tmp_path):
    (tmp_path / "tables").mkdir()
    for name in ("two.tex.j2", tables.MACROS, "one.tex.j2"):
        (tmp_path / "tables" / name).write_text("")
    assert [path.name for path in tables.templates(tmp_path)] == ["one.tex.j2", "two.tex.j2"]


IMPORT = '<% from "macros.tex.j2" import cells, small %>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{IMPORT}\n\n<< cells("chance.size.", ["similarty"]) >>', ":3: .*near: .*similarity"),
        (
            f'{IMPORT}\n<% call small("a") %>\n\n<< result("chance.size.similarty") >>'
            "\n<% endcall %>",
            ":4: .*near: .*similarity",
        ),
        (f"{IMPORT}\n<< cells(nobody, ['a']) >>", ":2: 'nobody' is undefined"),
        ('one\n<% from "macros.tex.j2" import row %>\n<< row() >>', ":3: .*not export.*row"),
        ('one\n<% from "other.tex.j2" import row %>', ":2: there is no other.tex.j2 beside it"),
    ],
)
def test_errors_inside_a_macro_have_the_line_that_calls_it(tmp_path, text, said):
    (tmp_path / tables.MACROS).write_text(CELLS)
    with pytest.raises(UserError, match=rf"^paper/tables/t\.tex\.j2{said}"):
        rendered(tmp_path, text)


def test_mistake_in_the_language_of_a_macro_has_the_line_of_the_macro(tmp_path):
    (tmp_path / tables.MACROS).write_text("one\n<% if %>")
    with pytest.raises(UserError, match=r"^paper/tables/macros\.tex\.j2:2: "):
        rendered(tmp_path, IMPORT)


def rows_with_shared_macros(folder, text: str) -> list[str]:
    """Lines of a table that imports the paper's macros."""
    shared = ROOT / "paper" / "tables" / tables.MACROS
    (folder / tables.MACROS).write_text(shared.read_text("utf-8"))
    text = f'<% from "macros.tex.j2" import block, cells, intervals, table, titles %>\n{text}'
    return [" ".join(line.split()) for line in rendered(folder, text).splitlines()]


def test_cells_of_a_row(tmp_path):
    at = '"chance.size.*"'
    values = f'a << cells({at}, ("similarity", "", "none?", "samples?")) >> \\\\'
    bounds = f'b << intervals({at}, ("similarity", "", "none?"), "tiny") >> \\\\'
    one = f'c << cells({at}, "similarity") >> << titles(["d_e", "f"]) >> \\\\'
    assert rows_with_shared_macros(tmp_path, "\n".join([values, bounds, one])) == [
        r"a & 0.302 & & -- & 10{,}215 \\",
        r"b & \tiny [0.300, 0.305] & & \\",
        r"c & 0.302 & d\_e & f \\",
    ]


def test_frame_of_a_table_and_its_blocks(tmp_path):
    text = '<% call table("lcc", "3pt") %>\n  << block("lcc", "A & B") >>\n<% endcall %>'
    assert rows_with_shared_macros(tmp_path, text) == [
        r"\footnotesize\setlength{\tabcolsep}{3pt}",
        r"\begin{tabular}{@{}lcc@{}}",
        r"\toprule",
        r"\midrule",
        r"\multicolumn{3}{@{}l}{\emph{A \& B}} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
