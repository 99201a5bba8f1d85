"""How much of a sparse autoencoder comes back with another seed, held against chance.

Names are loaded on first use, so that importing the package costs next to nothing. Functions run
with the defaults of torch and NumPy, whatever the caller's session has set.
"""

from importlib import import_module
from inspect import isfunction

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
    "align": "similarity.alignment",
    "chance_level": "stability.chance.closed_form",
    "compare": "report.compare",
    "Report": "report.report",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if isfunction(found):
        from seedstability.numerics.neutral import neutral

        found = neutral(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
