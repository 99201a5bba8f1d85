"""A dictionary to compare, with its source, and what follows from several."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from seedstability.dictionaries.sae import SAE
from seedstability.similarity.dictionaries.stated import (
    Difference,
    Stated,
    differences,
    neuronpedia_of,
    seed_of,
)
from seedstability.similarity.pairs import Weights


@dataclass(frozen=True)
class LoadedDictionary:
    """A dictionary with its source."""

    decoder: Float[Tensor, "n d"]
    """Directions that latents write."""
    encoder: Float[Tensor, "n d"] | None
    """Directions that latents read; `None` where only the decoder is compared."""
    sae: SAE | None
    """The SAE; `None` where only the decoder was read."""
    folder: str
    """Folder or file as given; in memory `SAE 0`, `SAE 1`, …"""
    format: str
    """Checkpoint format, `decoder` of a file with a matrix, or `memory`."""
    files: dict[str, str]
    """sha256 of each file, or of each tensor."""
    stated: Stated = field(default_factory=dict)
    """Settings that the checkpoint states, or those of the SAE in memory."""
    mean_norm: float | None = None
    """Mean norm of the activations, where the SAE had to be scaled by it."""
    firing: Float[Tensor, " n"] | None = None
    """Firing rate of each latent that the checkpoint states."""

    @cached_property
    def directed(self) -> Int[Tensor, " kept"]:
        """Indices of the latents whose decoder and encoder rows both have a direction."""
        both = has_direction(self.decoder)
        if self.encoder is not None:
            both &= has_direction(self.encoder)
        return both.nonzero().flatten()

    @property
    def weights(self) -> Weights:
        """The weights to compare: those of latents with a direction."""
        encoder = None if self.encoder is None else self.compared(self.encoder)
        return Weights(self.compared(self.decoder), encoder)

    def compared(self, rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "kept ..."]:
        """Rows of the latents with a direction; no copy where all have one."""
        return rows if len(self.directed) == len(rows) else rows[self.directed]

    def report_entry(self, name: str) -> dict:
        """Entry in the report's inputs, under this label."""
        n, d = self.decoder.shape
        return {
            "name": name,
            "folder": self.folder,
            "format": self.format,
            "architecture": self.sae.config.architecture if self.sae else None,
            "n_latents": n,
            "d": d,
            "seed": seed_of(self.stated),
            "mean_norm": self.mean_norm,
            "neuronpedia": neuronpedia_of(self.stated),
            "files": self.files,
        }


def has_direction(rows: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Mask of the rows that are longer than 1e-8 of the longest: shorter ones are zero to
    rounding."""
    length = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return length > 1e-8 * length.max()


def stated_rates(inputs: Sequence[LoadedDictionary]) -> list[Float[Tensor, " n"]] | None:
    """Firing rates that the checkpoints state, if all do."""
    rates = [each.firing for each in inputs if each.firing is not None]
    return rates if len(rates) == len(inputs) else None


def what_differs(inputs: Sequence[LoadedDictionary]) -> list[Difference]:
    """Settings besides the seed in which SAEs differ: those that they state, or else how they are
    read, for checkpoints of two libraries and for those that state nothing."""
    configs = [each.sae.config for each in inputs if each.sae]
    return (
        differences([each.stated for each in inputs])
        or differences([{"architecture": each.architecture} for each in configs])
        or differences([{"k": each.k} for each in configs])
        or differences([{"latents": len(each.decoder)} for each in inputs])
    )


def initial_decoders(
    initial: Sequence[LoadedDictionary], trained: Sequence[LoadedDictionary]
) -> list[Float[Tensor, "kept d"]]:
    """Decoder rows at initialization of the latents that are compared."""
    return [each.compared(start.decoder) for start, each in zip(initial, trained, strict=True)]
