"""The paper's figures: the module and the values of each, and when to draw one again."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit.experiments.common.declaration import Figure
from audit.manuscript.edition import ValueSource
from audit.pipeline.graph.sources import Sources
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError
from seedstability.files import whole_file

Format = Literal["pdf", "png", "svg"]


def render(
    figure: Figure, values: ValueSource, folder: Path, sources: Sources, form: Format = "pdf"
) -> Path:
    """Draw a figure into a folder, unless the existing one has the same code and values.

    Args:
        figure: what to draw.
        values: where its values stand.
        folder: for the file, and a note of what it was drawn from.
        sources: our code as it is now.
        form: of the file.

    Raises:
        UserError: a value that the figure needs is missing.
    """
    data = _data(figure, values)
    target = folder / f"{figure.name}.{form}"
    note = folder / f"{figure.name}.{form}.key"
    key = rendering_key(figure, data, sources)
    if _is_current(target, note, key):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as scratch:
        _draw(figure, data, scratch, form)
        content = hashlib.sha256(scratch.read_bytes()).hexdigest()
    note.write_text(f"{key} {content}\n", encoding="utf-8")
    return target


def _data(figure: Figure, values: ValueSource) -> dict[str, Any]:
    if isinstance(figure.subtree, str):
        return plain(values.subtree(figure.subtree))
    return {name: plain(values.subtree(at)) for name, at in figure.subtree.items()}


def rendering_key(figure: Figure, data: Mapping[str, Any], sources: Sources) -> str:
    """Hash of a figure's inputs: the code that drawing and saving reach, matplotlib, values."""
    code = sources.closure([f"{figure.plots_module}:draw", f"{__name__}:_save"]).definitions
    inputs = [sorted(code.items()), metadata.version("matplotlib"), data]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=_as_list).encode()).hexdigest()


def plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a tree of results to plain floats, strings and arrays, as plots take them."""
    return {name: _plain_leaf(branch) for name, branch in tree.items()}


def _plain_leaf(branch: Any) -> Any:
    if isinstance(branch, Mapping):
        return plain(branch)
    if isinstance(branch, Scalar):
        return branch.value
    if isinstance(branch, Array):
        return np.asarray(branch.values)
    return branch


def _as_list(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return [str(array.dtype), array.shape, array.tolist()]


def _is_current(target: Path, note: Path, key: str) -> bool:
    try:
        known = note.read_text(encoding="utf-8").split()
        return known == [key, hashlib.sha256(target.read_bytes()).hexdigest()]
    except OSError:
        return False


def _draw(figure: Figure, data: Mapping[str, Any], path: Path, form: Format) -> None:
    # Importing matplotlib takes a second, which a build without new figures should not spend.
    from importlib import import_module

    try:
        drawn = import_module(figure.plots_module).draw(data)
    except KeyError as missing:
        raise UserError(
            f"figure {figure.name}: nothing called {missing.args[0]} below"
            f" {', '.join(figure.addresses)};"
            f" {figure.plots_module} says what it draws"
        ) from None
    _save(drawn, path, form)


def _save(drawn: Any, path: Path, form: Format) -> None:
    from seedstability.report.figures import style

    # Dates and program names would make each file different.
    undated: dict[Format, dict[str, None]] = {
        "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }
    with style.in_style():
        drawn.savefig(path, format=form, metadata=undated[form], dpi=200)
