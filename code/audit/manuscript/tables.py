r"""Render tables: Jinja2 templates over the same values as the text.

Delimiters are `<< … >>` for values, `<% … %>` for statements and `<# … #>` for comments, so that a
template still reads as LaTeX. Inside them `result`, `interval`, `interval_name`, `chance` and
`text` print the value at an address as the macros do, `known(address)` says whether there is
anything, `tree(prefix)` gives the names below a prefix, and `edition` and `claims` are the edition
and its claims. Plain strings are escaped; what a macro of the templates makes is LaTeX already.

Macros that tables share stand in one file beside them, `macros.tex.j2`:

    <% from "macros.tex.j2" import cells %>
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from audit.manuscript import macros
from audit.manuscript.edition import Edition, ValueSource
from audit.manuscript.latex import Latex, escaped, number
from seedstability.errors import UserError

SUFFIX = ".tex.j2"
# Imported by the tables' templates; no table is made of it.
MACROS = f"macros{SUFFIX}"
# Command that makes each table again that comes from no experiment, printed beside it.
COMMANDS = {
    "ledger": "invoke verify",
    "ledger_page": "invoke verify",
    "ledger_rules": "invoke verify --json",
    "stages": "invoke paper",
}


def templates(paper: Path) -> list[Path]:
    """Templates of the tables in `paper/tables`, without the macros that they share, in order."""
    found = sorted(paper.glob(f"tables/*{SUFFIX}"))
    return [template for template in found if template.name != MACROS]


def render(template: Path, edition: Edition, name: str = "") -> str:
    """Render one table as LaTeX, once an edition.

    Args:
        template: a `.tex.j2` file, which imports from files of its folder.
        edition: the values of the table.
        name: name of the file in errors; its path by default.

    Raises:
        UserError: a missing address, name or filter, with file and line of the template, also
            where a macro that it calls looks the address up.
    """
    name = name or str(template)
    text = template.read_text(encoding="utf-8")
    shared = template.with_name(MACROS)
    key = (name, text, shared.read_text(encoding="utf-8") if shared.is_file() else "")
    if key not in edition.rendered:
        edition.rendered[key] = _rendered(name, text, edition, template.parent)
    return edition.rendered[key]


def _rendered(name: str, text: str, edition: Edition, folder: Path) -> str:
    if folder not in edition.environments:
        edition.environments[folder] = _environment(edition, folder)
    try:
        return edition.environments[folder].from_string(text).render()
    except jinja2.TemplateSyntaxError as problem:
        file = Path(name).with_name(problem.name or Path(name).name)
        raise UserError(f"{file}:{problem.lineno}: {problem.message}") from None
    except jinja2.TemplateNotFound as problem:
        raise UserError(f"{name}:{_line(problem)}: there is no {problem.name} beside it") from None
    except (UserError, ValueError, jinja2.TemplateError) as problem:
        raise UserError(f"{name}:{_line(problem)}: {problem}") from None


class _Environment(jinja2.Environment):
    """Jinja2 in which text made by a macro or a block counts as LaTeX, and is not escaped again."""

    @staticmethod
    def concat(parts: Iterable[str]) -> Latex:
        return Latex("".join(parts))


def _environment(edition: Edition, folder: Path) -> jinja2.Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader(folder),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # As globals, so that imported macros see the values too.
    environment.globals.update(_context(edition))
    environment.filters["number"] = number
    environment.filters["seconds"] = partial(number, digits=1)
    environment.filters["count"] = partial(number, digits=0)
    return environment


def _finalize(value: Any) -> Any:
    return escaped(value) if isinstance(value, str) else value


def _context(edition: Edition) -> Mapping[str, Any]:
    return {
        "result": partial(macros.value, edition.values),
        "interval": partial(macros.interval, edition.values),
        "interval_name": partial(macros.interval_name, edition.values),
        "chance": partial(macros.chance, edition.values),
        "text": partial(macros.text, edition.values),
        "known": partial(_known, edition.values),
        "tree": edition.values.subtree,
        "edition": edition,
        "claims": edition.claims,
    }


def _known(values: ValueSource, address: str) -> bool:
    above, _, name = address.rpartition(".")
    return name in values.subtree(above)


def _line(problem: BaseException) -> str:
    """Line of the template that raised an exception, from the traceback that Jinja2 rewrites.

    Imported macros are known there by their own files, so it is the line that calls one.
    """
    line = "?"
    trace = problem.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = str(trace.tb_lineno)
        trace = trace.tb_next
    return line
