"""Order stages by critical path: the longest remaining chain begins first."""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush

from audit.pipeline.graph.keys import Key
from audit.pipeline.graph.stage import Stage


def critical_path_lengths(
    missing: Sequence[Stage], keys: Mapping[str, Key], costs: Mapping[str, float]
) -> dict[str, float]:
    """Length of each critical path: key's digest → seconds of the stage and of the longest chain
    that waits for it.

    Args:
        missing: stages to run, each after its inputs.
        keys: the key of each, by name.
        costs: seconds of each, by name.
    """
    longest_follower: dict[str, float] = {}
    paths: dict[str, float] = {}
    for stage in reversed(missing):
        key = keys[stage.name]
        path = costs[stage.name] + longest_follower.get(key.digest, 0.0)
        paths[key.digest] = path
        for needed in key.inputs.values():
            longest_follower[needed] = max(path, longest_follower.get(needed, 0.0))
    return paths


def running_order(
    missing: Sequence[Stage], keys: Mapping[str, Key], costs: Mapping[str, float]
) -> list[Stage]:
    """The stages in the order in which one worker would run them; arguments as above."""
    paths = critical_path_lengths(missing, keys, costs)
    due = [keys[stage.name] for stage in missing]
    place = {key.digest: i for i, key in enumerate(due)}
    waits = TopologicalSorter({key.digest: place.keys() & key.inputs.values() for key in due})
    waits.prepare()
    # Of equally long paths, the one that `missing` names first.
    ready: list[tuple[float, int]] = []
    order = []
    while waits.is_active():
        for digest in waits.get_ready():
            heappush(ready, (-paths[digest], place[digest]))
        _, i = heappop(ready)
        order.append(missing[i])
        waits.done(due[i].digest)
    return order
