"""What an experiment declares of itself; the registry finds it by import."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit.pipeline.graph.stage import Stage


@dataclass(frozen=True)
class Figure:
    """One figure of the paper."""

    name: str
    """File name without suffix, by which the text includes it."""
    subtree: str | Mapping[str, str]
    """Address of the values it draws, or several by the name under which it gets each."""
    module: str
    """Module with `draw(data) -> Figure`, by its name within `audit.plots`."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses below which all that it draws stands."""
        return (self.subtree,) if isinstance(self.subtree, str) else tuple(self.subtree.values())

    @property
    def plots_module(self) -> str:
        """Dotted name of the module that draws it."""
        return f"audit.plots.{self.module}"


@dataclass(frozen=True)
class Experiment:
    """One section's experiment: `EXPERIMENT` in the folder's `experiment.py`."""

    profiles: Mapping[str, Any]
    """Its settings by profile; a profile that is left out has nothing of it."""
    parts: Callable[[Any], dict[str, Stage]]
    """From settings to the stage that measures each part; empty where a profile has nothing."""
    printed: Callable[[Any], dict[str, Any]] | None = None
    """From settings to those that the text prints: the values of the part `settings`."""
    figures: tuple[Figure, ...] = ()
    """Its figures."""
    tables: tuple[str, ...] = ()
    """Its tables, by the names of their templates in `paper/tables`."""
