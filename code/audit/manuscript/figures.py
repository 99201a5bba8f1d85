"""The paper's figures: the module and the values of each, and when to draw one again."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit.manuscript.edition import ValueSource
from audit.pipeline.results import Array, Scalar
from seedstability.errors import UserError
from seedstability.files import whole_file

Format = Literal["pdf", "png", "svg"]


@dataclass(frozen=True)
class Figure:
    """One figure of the paper."""

    name: str
    """File name without suffix, by which the text includes it."""
    subtree: str
    """Address of the values it draws."""
    command: str
    """Command that makes it again, printed beside it."""
    module: str
    """Module with `draw(data) -> Figure`, by its name within `audit.plots`."""

    @property
    def plots_module(self) -> str:
        """Dotted name of the module that draws it."""
        return f"audit.plots.{self.module}"


FIGURES: tuple[Figure, ...] = (
    Figure("headline", "chance.headline", "invoke experiments --only chance", "chance.headline"),
    Figure(
        "closed_form",
        "chance.closed_form",
        "invoke experiments --only chance",
        "chance.closed_form",
    ),
    Figure(
        "falling_rank",
        "chance.falling_rank",
        "invoke experiments --only chance",
        "chance.falling_rank",
    ),
    Figure(
        "levels", "modular.headline.figure", "invoke experiments --only modular", "addition.levels"
    ),
    Figure("sizes", "modular.sizes", "invoke experiments --only modular", "addition.sizes"),
    Figure("length", "modular.length", "invoke experiments --only modular", "addition.length"),
    Figure(
        "consistency",
        "consistency",
        "invoke experiments --only consistency",
        "addition.consistency",
    ),
    Figure("trace", "consistency", "invoke experiments --only consistency", "addition.trace"),
    Figure("matching", "matching", "invoke experiments --only matching", "chance.matching"),
    Figure(
        "token_sizes",
        "tokens.sizes",
        "invoke experiments --only tokens",
        "language.tokens",
    ),
    Figure(
        "token_amounts",
        "tokens.amounts",
        "invoke experiments --only tokens",
        "language.tokens",
    ),
    Figure("seeds", "seeds", "invoke experiments --only seeds", "language.seeds"),
    Figure(
        "alignment",
        "alignment.sizes.figure",
        "invoke experiments --only alignment",
        "language.alignment",
    ),
    Figure(
        "alignment_modes",
        "alignment.modes",
        "invoke experiments --only alignment",
        "language.alignment_modes",
    ),
    Figure(
        "alignment_frequency",
        "alignment.frequency",
        "invoke experiments --only alignment",
        "language.alignment_frequency",
    ),
    Figure("domains", "domains.across", "invoke experiments --only domains", "language.domains"),
    Figure(
        "activations",
        "activations",
        "invoke experiments --only activations",
        "language.activations",
    ),
    Figure(
        "explanations",
        "explanations.figure",
        "invoke experiments --only explanations",
        "language.explanations",
    ),
    Figure("planted", "planted", "invoke experiments --only planted", "latents.planted"),
    Figure("pooling", "pooling", "invoke experiments --only pooling", "latents.pooling"),
    Figure(
        "symmetry", "symmetry.figure", "invoke experiments --only symmetry", "addition.symmetry"
    ),
    Figure(
        "symmetry_example",
        "symmetry.example",
        "invoke experiments --only symmetry",
        "addition.symmetry_example",
    ),
    Figure(
        "interventions",
        "interventions.rows",
        "invoke experiments --only interventions",
        "language.interventions",
    ),
    Figure(
        "twins", "interventions.drift", "invoke experiments --only interventions", "language.twins"
    ),
    Figure(
        "subspaces", "subspaces.camps", "invoke experiments --only subspaces", "latents.subspaces"
    ),
    Figure(
        "unstable_spans",
        "subspaces.spans",
        "invoke experiments --only subspaces",
        "latents.unstable_spans",
    ),
)
# Modules that all figures share, so that an edit there draws all of them again.
_SHARED = (
    "seedstability.report.figures.style",
    "audit.plots.chance.labels",
    "seedstability.report.figures.marks",
)


def render(figure: Figure, values: ValueSource, folder: Path, form: Format = "pdf") -> Path:
    """Draw a figure into a folder, unless the existing one has the same code and values.

    Raises:
        UserError: a value that the figure needs is missing.
    """
    data = plain(values.subtree(figure.subtree))
    target = folder / f"{figure.name}.{form}"
    note = folder / f"{figure.name}.{form}.key"
    key = rendering_key(figure, data)
    if _is_current(target, note, key):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as scratch:
        _draw(figure, data, scratch, form)
        content = hashlib.sha256(scratch.read_bytes()).hexdigest()
    note.write_text(f"{key} {content}\n", encoding="utf-8")
    return target


def rendering_key(figure: Figure, data: Mapping[str, Any]) -> str:
    """Hash of a figure's inputs: plot code, shared style, version of matplotlib, values."""
    digest = hashlib.sha256()
    for module in (figure.plots_module, *_SHARED):
        digest.update(_source(module))
    digest.update(_how_it_is_saved())
    digest.update(json.dumps(data, sort_keys=True, default=_as_list).encode())
    return digest.hexdigest()


@cache
def _how_it_is_saved() -> bytes:
    return f"{inspect.getsource(_save)}{metadata.version('matplotlib')}".encode()


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


@cache
def _source(module: str) -> bytes:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError(f"no module {module}; every figure has one under plots/")
    return Path(spec.origin).read_bytes()


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
            f"figure {figure.name}: nothing at {figure.subtree}.{missing.args[0]};"
            f" {figure.plots_module} says what it draws"
        ) from None
    _save(drawn, path, form)


def _save(drawn: Any, path: Path, form: Format) -> None:
    import matplotlib

    from seedstability.report.figures import style

    # Dates and program names would make each file different.
    undated: dict[Format, dict[str, None]] = {
        "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }
    with matplotlib.rc_context(style.SETTINGS):
        drawn.savefig(path, format=form, metadata=undated[form], dpi=200)
