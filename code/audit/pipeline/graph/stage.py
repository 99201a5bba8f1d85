"""A stage: one function of a room, its settings, and the stages whose results it needs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Inputs: TypeAlias = Mapping[str, "Stage | Inputs"]
"""Stages by the name of the argument that receives their result; nested where that is a mapping."""


@dataclass(frozen=True, eq=False)
class Stage:
    """The unit that is hashed, run, stored and resumed.

    The function is named and not imported, so that a graph can be drawn and judged without
    loading torch. It is called as `function(config, **results)`, where `results` has the form of
    `inputs`; results are trees as in `results`, and so is what it returns.

    Raises:
        ValueError: an input's name has a slash, or a mapping of inputs is empty.
    """

    name: str
    """Unique in a graph; rooms and arms separated by slashes, as in `train/topk_leaky_layer1`."""
    function: str
    """Where the work is done, as `package.module:function`."""
    config: Any
    """A frozen dataclass: everything the result depends on besides code and inputs."""
    inputs: Inputs = field(default_factory=dict)
    """Stages whose results it needs, as `{"data": stage, "arms": {"topk": stage, …}}`."""

    def __post_init__(self):
        _check_names(self.inputs)

    @property
    def needed(self) -> dict[str, "Stage"]:
        """The inputs by address, such as `data` and `arms/topk`."""
        return dict(_by_address(self.inputs))

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
        for needed in stage.needed.values():
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
        and {address: stage.name for address, stage in one.needed.items()}
        == {address: stage.name for address, stage in other.needed.items()}
    )


def nested(by_address: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `Stage.needed`: `{"arms/topk": x}` becomes `{"arms": {"topk": x}}`."""
    tree: dict[str, Any] = {}
    for address, value in by_address.items():
        *branches, name = address.split("/")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[name] = value
    return tree


def _by_address(inputs: Inputs, prefix: str = "") -> Iterator[tuple[str, Stage]]:
    for name, each in inputs.items():
        if isinstance(each, Stage):
            yield prefix + name, each
        else:
            yield from _by_address(each, f"{prefix}{name}/")


def _check_names(inputs: Inputs) -> None:
    for name, each in inputs.items():
        if "/" in name:
            raise ValueError(f"input {name!r} has a slash, which separates the levels of inputs")
        if not isinstance(each, Stage):
            if not each:
                raise ValueError(f"input {name!r} is an empty mapping; leave it out")
            _check_names(each)
