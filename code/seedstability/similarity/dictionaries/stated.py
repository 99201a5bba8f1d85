"""Settings that checkpoints state, and in which they differ besides the seed."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seedstability.dictionaries.formats.settings import read_settings

Stated = dict[str, Any]
"""Value by dotted name of a setting, such as `trainer.lr`."""

_INCIDENTAL = re.compile(
    r"(^|_)(seeds?|device|wandb|log|logger|verbose|run|checkpoints?|save|output|out|cached|version"
    r"|commit|date|time|timestamp|host|neuronpedia|url|norm_factor|scaling_factors?)(_|$)"
)
"""Names of settings that say which run it was, where it ran and where it went."""
_NEURONPEDIA = re.compile(r"[\w.-]+/[\w.-]+")
_MOST_NAMED = 4


class Difference(NamedTuple):
    """A setting in which dictionaries differ."""

    setting: str
    """Dotted name."""
    values: tuple[Any, ...]
    """Value in each dictionary; `None` where it is not stated."""

    def __str__(self) -> str:
        values = dict.fromkeys(_text(value) for value in self.values if value is not None)
        return f"{self.setting} ({', '.join(values)})"


def stated_in(files: Sequence[Path]) -> Stated:
    """Settings in the JSON files of a checkpoint.

    Raises:
        UserError: as `read_settings`.
    """
    return {
        name: value
        for path in files
        if path.suffix == ".json"
        for name, value in _leaves(read_settings(path).values)
    }


def differences(stated: Sequence[Stated]) -> list[Difference]:
    """Settings besides the seed in which two that state them differ.

    Left out is what names a run or says where it ran or was saved.
    """
    names = dict.fromkeys(name for each in stated for name in each if not _is_incidental(name))
    found = []
    for name in names:
        values = tuple(each.get(name) for each in stated)
        if len({_text(value) for value in values if value is not None}) > 1:
            found.append(Difference(name, values))
    return found


def seed_of(stated: Stated) -> int | None:
    """The seed that a checkpoint states."""
    for name, value in stated.items():
        if name.rpartition(".")[2] == "seed" and type(value) is int:
            return value
    return None


def neuronpedia_of(stated: Stated) -> str | None:
    """The identifier on Neuronpedia that a checkpoint states, such as `gpt2-small/6-res-jb`."""
    for name, value in stated.items():
        if name.rpartition(".")[2] == "neuronpedia_id" and isinstance(value, str):
            return value if _NEURONPEDIA.fullmatch(value) else None
    return None


def in_words(found: Sequence[Difference]) -> str:
    """The first few differences, in words."""
    named = [str(each) for each in found[:_MOST_NAMED]]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _is_incidental(name: str) -> bool:
    return bool(_INCIDENTAL.search(name.rpartition(".")[2].lower()))


def _leaves(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
