"""The graph of stages, drawn as text or for Graphviz."""

from collections.abc import Collection, Iterable, Mapping

from audit.pipeline.graph.stage import Stage, in_order


def as_text(stages: Iterable[Stage], notes: Mapping[str, str] | None = None) -> str:
    """Each stage on a line with what it needs below it; what stood already ends in `…`.

    Args:
        stages: the ends of the graph.
        notes: a remark by stage name, such as its state.
    """
    lines: list[str] = []
    shown: set[str] = set()

    def draw(stage: Stage, depth: int, argument: str) -> None:
        again = stage.name in shown
        shown.add(stage.name)
        label = stage.name if argument in ("", stage.name) else f"{argument} = {stage.name}"
        note = (notes or {}).get(stage.name, "")
        remark = "  …" if again and stage.needed else f"  [{note}]" if note else ""
        lines.append("    " * depth + label + remark)
        if not again:
            for name, needed in stage.needed.items():
                draw(needed, depth + 1, name)

    for stage in stages:
        draw(stage, 0, "")
    return "\n".join(lines)


def as_dot(stages: Iterable[Stage], stale: Collection[str] = ()) -> str:
    """The same for Graphviz; stages named in `stale` are dashed."""
    graph = in_order(stages)
    lines = ["digraph stages {", "  rankdir=LR; node [shape=box];"]
    for stage in graph:
        style = ", style=dashed" if stage.name in stale else ""
        tip = f'tooltip="{stage.function}"'
        lines.append(f'  "{stage.name}" [{tip}{style}];')
        for argument, needed in stage.needed.items():
            lines.append(f'  "{needed.name}" -> "{stage.name}" [label="{argument}"];')
    return "\n".join([*lines, "}"])
