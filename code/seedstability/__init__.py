"""How much of a sparse autoencoder comes back with another seed, held against chance.

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "SAE": "dictionaries.sae",
    "DictionaryConfig": "dictionaries.config",
    "train": "dictionaries.training.train",
    "load": "dictionaries.formats.folder",
    "save": "dictionaries.formats.folder",
    "Shards": "dictionaries.samples",
    "Matching": "stability.matching.match",
    "match": "stability.matching.match",
    "chance_level": "stability.chance.closed_form",
    "compare": "report.compare",
    "Report": "report.report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
