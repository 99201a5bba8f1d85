"""A comparison as a table to paste into a paper: LaTeX or Markdown, from `report.json`."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from seedstability.report.page.tables import Cell, HeadlineRow, common, headline

Language = Literal["latex", "markdown"]
_ESCAPED = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "−": "$-$",
        "κ": r"$\kappa$",
        "–": "--",
    }
)
_HEADINGS = ("measure", "value", "by chance", "strongest level", "κ", "p")


def summary(document: Mapping[str, Any], language: Language = "markdown") -> str:
    """The main measures, each beside its strongest chance level, and what was compared.

    Args:
        document: content of `report.json`.
        language: of the text. LaTeX needs the package booktabs.
    """
    rows = headline(document)
    said = f"{_what(document)} {_brackets(rows)}".strip()
    return _LANGUAGES[language]([_cells(row) for row in rows], said)


def _cells(row: HeadlineRow) -> list[str]:
    return [
        row.term.name,
        _with_bounds(row.value),
        row.chance.text,
        row.level,
        _with_bounds(row.kappa),
        row.p.text,
    ]


def _with_bounds(cell: Cell) -> str:
    return f"{cell.text} {cell.bounds}".strip()


def _what(document: Mapping[str, Any]) -> str:
    inputs = document["inputs"]
    dictionaries = inputs["dictionaries"]
    names = ", ".join(each["name"] for each in dictionaries)
    n = sorted({each["n_latents"] for each in dictionaries})
    latents = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    text = f"{len(dictionaries)} dictionaries ({names}) of {latents} latents"
    text += f" in {dictionaries[0]['d']:,} dimensions"
    if activations := inputs["activations"]:
        text += f", with {activations['samples']:,} activations"
    return f"{text}; seedstability {document['software']['version']}."


def _brackets(rows: list[HeadlineRow]) -> str:
    label = common(row.value for row in rows)
    kappa = common(row.kappa for row in rows)
    more = f", of κ {kappa}" if kappa and kappa != label else ""
    return f"In brackets: {label}{more}." if label else ""


def _latex(rows: list[list[str]], said: str) -> str:
    def line(cells: tuple[str, ...] | list[str]) -> str:
        return "    " + " & ".join(cell.translate(_ESCAPED) for cell in cells) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            r"  \begin{tabular}{lrrlrr}",
            r"    \toprule",
            line(_HEADINGS),
            r"    \midrule",
            *(line(row) for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"  \caption{{{said.translate(_ESCAPED)}}}",
            r"\end{table}",
        ]
    )


def _markdown(rows: list[list[str]], said: str) -> str:
    def line(cells: tuple[str, ...] | list[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    ruled = "| --- | ---: | ---: | --- | ---: | ---: |"
    return "\n".join([line(_HEADINGS), ruled, *(line(row) for row in rows), "", said])


_LANGUAGES: dict[str, Callable[[list[list[str]], str], str]] = {
    "latex": _latex,
    "markdown": _markdown,
}
