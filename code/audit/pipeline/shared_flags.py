"""Invoke's executor, with one addition: a task hands its flags on to the tasks it needs.

Invoke runs the tasks named by `pre=` first, but with their defaults. Here `invoke paper --profile
smoke` also runs its experiments and checks under the profile `smoke`. Chosen in `invoke.yaml`.
"""

from invoke.executor import Executor
from invoke.tasks import Call, Task


class SharedFlags(Executor):
    """Prerequisites receive those of the caller's flags that they have themselves."""

    def expand_calls(self, calls: list[Call]) -> list[Call]:
        """Each call after its prerequisites, flags handed on."""
        expanded: list[Call] = []
        for call in map(_as_call, calls):
            needed = [_with_flags(each, call.kwargs) for each in call.pre]
            expanded += [*self.expand_calls(needed), call, *self.expand_calls(call.post)]
        return expanded


def _as_call(call: Call | Task) -> Call:
    return Call(call) if isinstance(call, Task) else call


def _with_flags(needed: Call | Task, flags: dict) -> Call:
    call = _as_call(needed)
    known = {argument.name for argument in call.task.get_arguments()}
    return call.clone(
        with_={"kwargs": {**{k: v for k, v in flags.items() if k in known}, **call.kwargs}}
    )
