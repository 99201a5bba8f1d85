"""Portable keys: a stage's result may be taken from the store if, and only if, its key is there.

A key hashes all that can change a number: settings, the keys of the inputs, the code
(`closure`) and the versions of the numeric packages. The machine is not in it; its numeric
ABI stands beside the key in the store. A key keeps its ingredients, so that a stale result
can be explained.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from audit.folders import CODE
from audit.pipeline.graph.parsed import KeptModules
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage, in_order

# Packages whose code ends up in a number. Others (plots, templates, progress) never do.
NUMERIC_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "llvmlite",
    "transformers",
    "transformer-lens",
    "tokenizers",
)


@dataclass(frozen=True)
class Key:
    """A portable key and what it was made from."""

    function: str
    """Where the work is done, as `package.module:function`."""
    settings: Mapping[str, str]
    """Address of each setting in the config → its value, as JSON."""
    inputs: Mapping[str, str]
    """Address of each input, as in `Stage.needed` → digest of its key."""
    definitions: Mapping[str, str]
    """Definition that the function can reach, as `package/module.py:name` → digest of its code."""
    packages: Mapping[str, str]
    """Numeric package → version, or `absent`."""
    digest: str = ""
    """What stands for all of this; computed."""

    def __post_init__(self):
        text = json.dumps(self.ingredients(), sort_keys=True)
        object.__setattr__(self, "digest", hashlib.sha256(text.encode()).hexdigest())

    def ingredients(self) -> dict:
        """Plain dictionaries that `from_ingredients` turns into this key again."""
        return {
            "function": self.function,
            "settings": dict(self.settings),
            "inputs": dict(self.inputs),
            "definitions": dict(self.definitions),
            "packages": dict(self.packages),
        }

    @classmethod
    def from_ingredients(cls, ingredients: Mapping[str, Any]) -> "Key":
        """The key that was made from these; earlier code hashed whole `files`."""
        known = dict(ingredients)
        definitions = known.pop("files", None) or known.pop("definitions")
        return cls(**known, definitions=definitions)


def portable_keys(stages: Iterable[Stage], sources: Sources | None = None) -> dict[str, Key]:
    """The key of each stage, and of all that these need, by the stage's name.

    Args:
        stages: the ends of the graph.
        sources: the code to hash; left out, our packages' files as they are on disk now.

    Raises:
        UserError: a stage's module is missing, does not parse, or imports dynamically.
        TypeError: a config holds something that is no setting.
    """
    sources = sources or current_sources()
    keys: dict[str, Key] = {}
    for stage in in_order(stages):
        keys[stage.name] = Key(
            function=stage.function,
            settings=dict(settings_of(stage.config)),
            inputs={name: keys[needed.name].digest for name, needed in stage.needed.items()},
            definitions=sources.closure(roots(stage.function, stage.config)).definitions,
            packages=package_versions(),
        )
    sources.keep()
    return keys


def roots(function: str, config: Any) -> set[str]:
    """What a stage's code starts from: its function and the classes of its settings."""
    return {function, *(f"{kind.__module__}:{kind.__qualname__}" for kind in classes_of(config))}


def classes_of(config: Any) -> Iterator[type]:
    """The classes of all settings that are dataclasses."""
    if isinstance(config, tuple):
        for item in config:
            yield from classes_of(item)
    elif is_dataclass(config) and not isinstance(config, type):
        yield type(config)
        for field in fields(config):
            yield from classes_of(getattr(config, field.name))


def current_sources(build: Path | None = None) -> Sources:
    """Our packages' code as it is on disk now.

    Args:
        build: folder to keep what is parsed, for later processes; left out, it is not kept.
    """
    return Sources(CODE, kept=KeptModules(build / "parsed.json") if build else None)


@cache
def package_versions() -> dict[str, str]:
    """Versions of the numeric packages, without the variant (`+cpu`), which is the ABI's."""
    return {package: _version(package) for package in NUMERIC_PACKAGES}


def settings_of(config: Any, address: str = "") -> Iterator[tuple[str, str]]:
    """Every setting with its address, and the class at each level, as JSON.

    Raises:
        TypeError: something that is neither a dataclass nor a tuple, number, text or None.
    """
    if is_dataclass(config) and not isinstance(config, type):
        yield f"{address}.class".lstrip("."), json.dumps(type(config).__qualname__)
        for field in fields(config):
            yield from settings_of(
                getattr(config, field.name), f"{address}.{field.name}".lstrip(".")
            )
    else:
        yield address, json.dumps(_plain(config, address))


def _plain(value: Any, address: str) -> Any:
    if isinstance(value, tuple):
        return [_plain(item, address) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return dict(settings_of(value))
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(
        f"setting {address!r} is a {type(value).__name__}; settings are text, numbers, "
        "truth values, None, tuples and frozen dataclasses of these"
    )


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "absent"
