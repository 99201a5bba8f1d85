"""Order stages by critical path: the longest remaining chain begins first."""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

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
    digests = [keys[stage.name].digest for stage in missing]
    due = set(digests)
    needed = [due & set(keys[stage.name].inputs.values()) for stage in missing]
    followers: dict[str, list[int]] = {digest: [] for digest in digests}
    for place, inputs in enumerate(needed):
        for digest in inputs:
            followers[digest].append(place)
    # Of equally long paths, the one that `missing` names first.
    ready = [(-paths[digests[i]], i) for i, inputs in enumerate(needed) if not inputs]
    heapify(ready)
    order = []
    while ready:
        _, place = heappop(ready)
        order.append(missing[place])
        for follower in followers[digests[place]]:
            needed[follower].discard(digests[place])
            if not needed[follower]:
                heappush(ready, (-paths[digests[follower]], follower))
    return order
