"""Which chance level a report holds a figure against."""

from collections.abc import Mapping
from typing import Any

from seedstability.similarity.estimates import CORRECTED


def strongest(levels: Mapping[str, Any]) -> str:
    """Name of the strongest available chance level; isotropic is always available.

    The untrained level is reported separately: with a shared initialization it is 1, which is not
    chance.
    """
    return [level for level in CORRECTED if levels.get(level) is not None][-1]
