"""Activations written as a folder of shards."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from seedstability.dictionaries.samples import Shards


def write_shards(parts: Iterable[Tensor], folder: Path) -> Shards:
    """Write each part [rows, d] as one file of a new folder."""
    folder.mkdir()
    for number, part in enumerate(parts):
        np.save(folder / f"{number:06d}.npy", part.numpy())
    return Shards(folder)
