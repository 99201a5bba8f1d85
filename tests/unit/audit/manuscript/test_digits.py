import pytest

from audit.manuscript.digits import check, typed_figures
from audit.manuscript.macros import Source
from helpers.repository import ROOT
from seedstability.errors import UserError

PAPER = ROOT / "paper"


def found(text: str, name: str = "paper/sections/a.tex") -> list[str]:
    return [figure.digits for figure in typed_figures(Source(name, text))]


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("the similarity is 0.302.", ["0.302"]),
        ("with 1,024 latents", ["1,024"]),
        ("5 seeds", ["5"]),
        (r"$x = 0.30$", ["0.30"]),
        (r"$n = 1024$", ["1024"]),
        (r"\begin{equation} c = 0.1 \end{equation}", ["0.1"]),
        (r"\item[53] of them", ["53"]),
        (r"\section[0.3]{Title}", ["0.3"]),
        (r"\textbf{0.7}", ["0.7"]),
        (r"\caption{All 20 seeds}\label{fig:a1}", ["20"]),
        (r"\newcommand{\ours}{0.302}", ["0.302"]),
        (r"\href{http://a1.org}{42}", ["42"]),
        ("0.302 & 0.300 \\\\[2pt]", ["0.302", "0.300"]),
        ("<< 0.302 >>", ["0.302"]),
        ("<% set x = 53 %>", ["53"]),
        ("50\\% of 7", ["50", "7"]),
    ],
)
def test_typed_figures_are_found(text, digits):
    assert found(text) == digits


@pytest.mark.parametrize(
    "text",
    [
        "% 0.302 in a comment",
        r"\label{eq:1}\ref{fig:2}\eqref{eq:3}\cite{song2025,gao2024}\citep[see][]{x1}",
        r"\result{modular.topk.n1024} \resultchance{a.b2} \claimed{C13:dead, 1}",
        r"\includegraphics[width=0.5\textwidth]{figures/f1.pdf}",
        r"\begin{tabular}{@{}p{0.3\textwidth}lr@{}} \cmidrule(lr){2-3} \multicolumn{3}{c}{x}",
        "a & b \\\\[4pt] \\vspace{-4pt} \\setlength{\\tabcolsep}{3pt}",
        "claim C01 and \\claim{C28} and C05a and \\tally{late}",
        r"$\frac{1}{2} \ell_2 \mathbb{R}^2 [0, 1]$ and $S - 1$",
        r"\begin{align*} 1 - \int_{-1}^{1} F(t)^n \, dt &= 0 \\ \end{align*}",
        '<< result("chance.n1024.d128") >> <% if loop.index == 1 %> << figures[0] >> <# 42 #>',
        r"\begin{figure}[tbp]\href{https://x.org/2501.16615}{here}",
    ],
)
def test_digits_are_allowed_in_listed_places(text):
    assert found(text) == []


def test_preamble_is_not_checked_and_the_body_is():
    text = "\\documentclass[11pt]{article}\n\\def\\x{3}\n\\begin{document}\n4\n\\end{document}"
    assert found(text) == ["4"]


def test_typed_figure_error_has_its_place():
    with pytest.raises(UserError, match=r"^a\.tex:2: the figure 0\.302 is typed"):
        check(Source("a.tex", "fine\nthe similarity is 0.302, and 5"))


@pytest.mark.parametrize("name", ["paper/names.tex", "paper/macros.tex"])
def test_names_and_macros_are_not_checked(name):
    assert found("0.302", name) == []


def test_no_figure_is_typed_in_the_paper():
    paths = [*PAPER.glob("*.tex"), *PAPER.glob("sections/*.tex"), *PAPER.glob("tables/*.j2")]
    assert len(paths) > 10
    typed = [
        f"{figure.place}: {figure.line}"
        for path in paths
        for figure in typed_figures(Source(str(path), path.read_text("utf-8")))
    ]
    assert not typed
