"""Which stage begins first: the one with the longest way to the end of the graph."""

from collections.abc import Mapping, Sequence

from audit.pipeline.graph.keys import Key
from audit.pipeline.graph.stage import Stage


def ways_to_end(
    missing: Sequence[Stage], keys: Mapping[str, Key], costs: Mapping[str, float]
) -> dict[str, float]:
    """Key's digest → seconds of the stage and of the longest chain that waits for it.

    Args:
        missing: stages to run, each after its inputs.
        keys: the key of each, by name.
        costs: seconds of each, by name.
    """
    longest_follower: dict[str, float] = {}
    ways: dict[str, float] = {}
    for stage in reversed(missing):
        key = keys[stage.name]
        way = costs[stage.name] + longest_follower.get(key.digest, 0.0)
        ways[key.digest] = way
        for needed in key.inputs.values():
            longest_follower[needed] = max(way, longest_follower.get(needed, 0.0))
    return ways


def running_order(
    missing: Sequence[Stage], keys: Mapping[str, Key], costs: Mapping[str, float]
) -> list[Stage]:
    """The stages in the order in which one worker would run them; arguments as above."""
    ways = ways_to_end(missing, keys, costs)
    waiting = {keys[stage.name].digest: stage for stage in missing}
    order = []
    while waiting:
        ready = [d for d, s in waiting.items() if not waiting.keys() & keys[s.name].inputs.values()]
        first = max(ready, key=lambda digest: ways[digest])
        order.append(waiting.pop(first))
    return order
