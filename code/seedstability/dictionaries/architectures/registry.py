"""The architectures by name."""

from seedstability.dictionaries.architectures.architecture import Architecture
from seedstability.dictionaries.architectures.batch_topk import BatchTopK
from seedstability.dictionaries.architectures.jumprelu import JumpReLU
from seedstability.dictionaries.architectures.relu import ReLU
from seedstability.dictionaries.architectures.topk import TopK
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.errors import UserError

ARCHITECTURES: dict[str, Architecture] = {
    each.name: each for each in (TopK(), BatchTopK(), ReLU(), JumpReLU())
}
"""Add another here, or to this table before its first use."""


def architecture_of(config: DictionaryConfig) -> Architecture:
    """The architecture that settings name.

    Raises:
        UserError: no such architecture.
    """
    if config.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"architecture is {config.architecture!r}; it must be one of {known}")
    return ARCHITECTURES[config.architecture]
