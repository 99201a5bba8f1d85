"""A stage: one function of a room, its settings, and the stages whose results it needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Stage:
    """The unit that is hashed, run, stored and resumed.

    The function is named and not imported, so that a graph can be drawn and judged without
    loading torch. It is called as `function(config, **results_of_inputs)`; results are trees
    as in `results`, and so is what it returns.
    """

    name: str
    """Unique in a graph; rooms and arms separated by slashes, as in `train/topk_leaky_layer1`."""
    function: str
    """Where the work is done, as `package.module:function`."""
    config: Any
    """A frozen dataclass: everything the result depends on besides code and inputs."""
    inputs: Mapping[str, "Stage"] = field(default_factory=dict)
    """Stages by the name of the argument that receives their result."""

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the function."""
        return self.function.partition(":")[0]


def in_order(wanted: Iterable[Stage]) -> list[Stage]:
    """The wanted stages and all they need, each once and after its inputs.

    Raises:
        ValueError: when two different stages share a name.
    """
    ordered: dict[str, Stage] = {}
    visited: set[int] = set()

    def visit(stage: Stage) -> None:
        if id(stage) in visited:
            return
        visited.add(id(stage))
        for needed in stage.inputs.values():
            visit(needed)
        if not _same(ordered.setdefault(stage.name, stage), stage):
            raise ValueError(f"two different stages are called {stage.name!r}")

    for stage in wanted:
        visit(stage)
    return list(ordered.values())


def _same(one: Stage, other: Stage) -> bool:
    """Whether both stand for the same work; what they need is checked by name in its own turn."""
    return one is other or (
        (one.function, one.config) == (other.function, other.config)
        and {name: stage.name for name, stage in one.inputs.items()}
        == {name: stage.name for name, stage in other.inputs.items()}
    )
