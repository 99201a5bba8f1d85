r"""Render tables: Jinja2 templates over the same values as the text.

Delimiters are `<< … >>` for values, `<% … %>` for statements and `<# … #>` for comments, so that a
template still reads as LaTeX. Inside them `result`, `interval`, `interval_name`, `chance` and
`text` print the value at an address as the macros do, `tree(prefix)` gives the names below a
prefix, and `edition` and `claims` are the edition and its claims. Plain strings are escaped.
"""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2

from audit.manuscript import macros
from audit.manuscript.edition import Edition
from audit.manuscript.latex import escaped, number
from seedstability.errors import UserError

SUFFIX = ".tex.j2"
# Command that makes each table again, printed beside it.
_MODULAR, _CONSISTENCY, _MATCHING = (
    f"invoke experiments --only {name}" for name in ("modular", "consistency", "matching")
)
COMMANDS = {
    "headline": "invoke experiments --only chance",
    "ledger": "invoke verify",
    "ledger_rules": "invoke verify --json",
    "stages": "invoke paper",
    "subjects": _MODULAR,
    "centre": _MODULAR,
    "quality": _MODULAR,
    "architecture": _MODULAR,
    "controls": _MODULAR,
    "fourier": _MODULAR,
    "consistency": _CONSISTENCY,
    "matching": _MATCHING,
    "language": "invoke experiments --only language",
    "tokens": "invoke experiments --only tokens",
    "tokens_differences": "invoke experiments --only tokens",
    "seeds": "invoke experiments --only seeds",
    "alignment": "invoke experiments --only alignment",
    "alignment_architectures": "invoke experiments --only alignment",
    "domains": "invoke experiments --only domains",
    "activations": "invoke experiments --only activations",
    "explanations": "invoke experiments --only explanations",
    "rules": "invoke experiments --only explanations",
    "planted": "invoke experiments --only planted",
    "planted_song": "invoke experiments --only planted",
    "pooling": "invoke experiments --only pooling",
    "symmetry": "invoke experiments --only symmetry",
    "interventions": "invoke experiments --only interventions",
    "interventions_verdicts": "invoke experiments --only interventions",
    "transport": "invoke experiments --only interventions",
    "subspaces_worth": "invoke experiments --only subspaces",
    "subspaces_responses": "invoke experiments --only subspaces",
    "subspaces_spans": "invoke experiments --only subspaces",
}


def render(template: Path, edition: Edition, name: str = "") -> str:
    """Render one table as LaTeX, once an edition.

    Args:
        template: a `.tex.j2` file.
        edition: the values of the table.
        name: name of the file in errors; its path by default.

    Raises:
        UserError: a missing address, name or filter, with file and line.
    """
    name = name or str(template)
    text = template.read_text(encoding="utf-8")
    if (name, text) not in edition.rendered:
        edition.rendered[name, text] = _rendered(name, text, edition)
    return edition.rendered[name, text]


def _rendered(name: str, text: str, edition: Edition) -> str:
    try:
        return _environment().from_string(text).render(_context(edition))
    except jinja2.TemplateSyntaxError as problem:
        raise UserError(f"{name}:{problem.lineno}: {problem.message}") from None
    except (UserError, ValueError, jinja2.TemplateError) as problem:
        raise UserError(f"{name}:{_line(problem)}: {problem}") from None


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
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
        "tree": edition.values.subtree,
        "edition": edition,
        "claims": edition.claims,
    }


def _line(problem: BaseException) -> str:
    """Line of the template that raised an exception, from the traceback that Jinja2 rewrites."""
    line = "?"
    trace = problem.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = str(trace.tb_lineno)
        trace = trace.tb_next
    return line
