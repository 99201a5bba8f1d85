"""Render the HTML page from its template; everything is embedded, nothing is fetched."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from seedstability.report.page import figures, latents, tables
from seedstability.report.page import terms as words
from seedstability.report.summary import Language, summary

_HERE = Path(__file__).parent
_NEURONPEDIA = "https://www.neuronpedia.org"
"""Links are written, nothing is fetched."""


def render(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Render the HTML page; the same arguments give the same bytes.

    Args:
        document: content of `report.json`.
        arrays: content of `latents.npz`.
    """
    names = [each["name"] for each in document["inputs"]["dictionaries"]]
    contexts = document["inputs"].get("contexts") or {}
    listed = latents.latent_table(
        names,
        arrays,
        contexts={int(number): text for number, text in contexts.items()},
        links=[
            f"{_NEURONPEDIA}/{each['neuronpedia']}" if each.get("neuronpedia") else None
            for each in document["inputs"]["dictionaries"]
        ],
    )
    rows = tables.headline(document)
    languages: tuple[Language, ...] = ("markdown", "latex")
    camps, overlaps = tables.camps(document), tables.overlaps(document)
    script = _asset("report.js")
    return _template().render(
        title=_title(document),
        policy=_policy(script),
        style=Markup(_asset("report.css")),
        script=Markup(script),
        document=document,
        names=names,
        differences=tables.differences(document),
        headline=rows,
        pasted=[summary(document, language) for language in languages],
        headline_label=tables.common(row.value for row in rows),
        headline_kappa_label=tables.common(row.kappa for row in rows),
        headline_tested=any(row.p.known for row in rows),
        groups=tables.groups(document),
        group_label=tables.common(
            cell for row in tables.groups(document) for cell in (*row.within, row.between)
        ),
        steps=tables.steps(document),
        scopes=tables.measures(document),
        glossary=tables.glossary(document),
        camps=camps,
        camp_label=tables.common(share for camp in camps for share in camp.shares),
        camp_levels=[*words.LEVELS.values()],
        overlaps=overlaps,
        overlap_label=tables.common(row.overlap for row in overlaps),
        pictures=figures.pictures(document),
        rule=listed.rule,
        # Escapes <, > and &, so that no label can end its element.
        listed=htmlsafe_json_dumps(listed.columns, separators=(",", ":"), allow_nan=False),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (words.architecture, words.bound, words.count, words.number, words.plain)
    environment.filters |= {each.__name__: each for each in shown}
    return environment.from_string(_asset("report.html.j2"))


def _title(document: Mapping[str, Any]) -> str:
    dictionaries = document["inputs"]["dictionaries"]
    first, sizes = dictionaries[0], [each["n_latents"] for each in dictionaries]
    known = (each["architecture"] for each in dictionaries if each["architecture"])
    kinds = " and ".join(dict.fromkeys(words.architecture(each) for each in known))
    what = "configurations" if document["inputs"]["differences"] else "dictionaries"
    return (
        f"{len(dictionaries)} {kinds and f'{kinds} '}{what} of {_range(sizes)} latents"
        f" in {first['d']:,} dimensions"
    )


def _range(sizes: list[int]) -> str:
    least, most = min(sizes), max(sizes)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _policy(script: str) -> str:
    """Content security policy: only this script, by its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Styles need no hash: matplotlib writes them into attributes.
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
