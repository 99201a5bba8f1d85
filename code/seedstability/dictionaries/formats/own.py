"""Our checkpoint format, with all settings: `dictionary.json` + `dictionary.safetensors`."""

import typing
from dataclasses import asdict
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from seedstability.dictionaries.architectures.registry import ARCHITECTURES, architecture_of
from seedstability.dictionaries.config import FORMER_NAMES, DictionaryConfig
from seedstability.dictionaries.formats.format import Checkpoint, Files, Format
from seedstability.dictionaries.formats.settings import Settings
from seedstability.dictionaries.formats.weights import read_safetensors
from seedstability.dictionaries.sae import PARTS, SAE

_VERSION = "seedstability-sae-1"
# Needed for inference. Settings of training may be missing: older files lack newer settings.
_REQUIRED = {"architecture", "n_latents", "k", "rectify", "bias_before_encoder"}


def read(files: Checkpoint) -> SAE:
    """Read an SAE of our format.

    Raises:
        UserError: a damaged file, or one of another version.
    """
    settings = files.read_settings()
    if settings.word("format") != _VERSION:
        raise settings.wrong("format", repr(_VERSION))
    sizes = {"n": settings.part("config").whole("n_latents"), "d": settings.whole("d")}
    config = _config(settings.part("config"))
    weights = read_safetensors(files.weights, PARTS)
    parts = {
        name: weights.take(name, *(sizes[axis] for axis in axes)) for name, axes in PARTS.items()
    }
    return SAE(**parts, config=config)


def write(sae: SAE) -> Files:
    """Contents of the files of an SAE."""
    settings = {"format": _VERSION, "d": sae.decoder.shape[1], "config": asdict(sae.config)}
    return Files(settings, sae.parts())


def _config(settings: Settings) -> DictionaryConfig:
    types = typing.get_type_hints(DictionaryConfig)
    for name in _REQUIRED - settings.values.keys():
        settings.word(name)
    if settings.values["architecture"] not in [*ARCHITECTURES]:
        raise settings.wrong("architecture", f"one of {', '.join(ARCHITECTURES)}")
    values = {}
    for name, value in settings.values.items():
        current = FORMER_NAMES.get(name, name)
        if current not in types:
            raise settings.wrong(name, "left out: unknown setting")
        if current in values:
            raise settings.wrong(name, f"left out: {current} is given too")
        if not _fits(value, types[current]):
            raise settings.wrong(name, _wanted(types[current]))
        values[current] = value
    config = DictionaryConfig(**values)
    if architecture_of(config).reads_k and not 1 <= config.k <= config.n_latents:
        raise settings.wrong("k", f"in 1…{config.n_latents}")
    return config


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if isinstance(kind, UnionType):
        return " or ".join(_wanted(each) for each in get_args(kind))
    names = {bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}
    return names[kind]


FORMAT = Format("dictionary.safetensors", "dictionary.json", read, write)
