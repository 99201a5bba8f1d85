"""Similarity statistics of one pair of SAEs, and the choice of pairs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from seedstability.progress import step
from seedstability.side_by_side import side_by_side
from seedstability.similarity.names import ENCODER, SHARES
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.matching.match import Matching, agreement
from seedstability.stability.matching.nearest import BestCosines, best_cosines
from seedstability.stability.pairs import Partners, find_partners, fits_in_memory
from seedstability.stability.subspaces.principal import PrincipalBasis, project_on_span

Statistics = dict[str, float]


@dataclass(frozen=True)
class Weights:
    """Decoder and encoder directions of an SAE, one row per latent."""

    decoder: Float[Tensor, "n d"]
    """Directions that latents write."""
    encoder: Float[Tensor, "n d"] | None
    """Directions that latents read; `None` where only decoders are compared."""

    def kept(self, mask: Bool[Tensor, " n"]) -> "Weights":
        """Select the marked latents."""
        return self._each(lambda rows: rows[mask])

    def within(self, basis: PrincipalBasis) -> "Weights":
        """Project on the span of the data."""
        return self._each(lambda rows: project_on_span(rows, basis))

    def scrambled(self, basis: GaugeBasis, generator: torch.Generator) -> "Weights":
        """Gauge scramble with one random symmetry, the same for decoder and encoder."""
        if self.encoder is None:
            return Weights(gauge_scramble(self.decoder, basis, generator), None)
        both = gauge_scramble(torch.cat([self.decoder, self.encoder]), basis, generator)
        return Weights(both[: len(self.decoder)], both[len(self.decoder) :])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Weights":
        encoder = None if self.encoder is None else change(self.encoder)
        return Weights(change(self.decoder), encoder)


class SAEPartners(NamedTuple):
    """Partners of the latents of two SAEs, by decoder and by encoder."""

    decoders: Partners
    encoders: Partners | None
    """`None` where only decoders are compared."""

    def statistics(self, threshold: float = 0.7) -> Statistics:
        """All statistics of a pair: best partners, assignment, agreement of both assignments.

        Encoder statistics have the prefix `names.ENCODER`; shares are of the matched latents, which
        are all of the smaller dictionary. Without encoders only decoder statistics are left.
        """
        if self.encoders is None:
            close = self.decoders.matching.cosine > threshold
            return {
                **partner_statistics(self.decoders),
                "shared_decoder_only": _share(close, self.decoders.matching),
            }
        agreed = agreement(self.decoders.matching, self.encoders.matching, threshold)
        return {
            **partner_statistics(self.decoders),
            **{
                f"{ENCODER}{name}": value
                for name, value in partner_statistics(self.encoders).items()
            },
            **{name: _share(getattr(agreed, name), self.decoders.matching) for name in SHARES},
        }


def partner_statistics(partners: Partners) -> Statistics:
    """Statistics `names.BEST` and `names.MATCHED` of given partners."""
    matched = partners.matching.matched_cosines.double()
    return {
        **best_partner_statistics(partners.best),
        "matched_mean": matched.mean().item(),
        "matched_median": matched.quantile(0.5).item(),
    }


def find_sae_partners(A: Weights, B: Weights, certify: bool = False) -> SAEPartners:
    """Find partners by decoder and by encoder, separately; by decoder where one has no encoder."""
    if A.encoder is None or B.encoder is None:
        return SAEPartners(find_partners(A.decoder, B.decoder, certify), None)
    decoders, encoders = (A.decoder, B.decoder), (A.encoder, B.encoder)
    if fits_in_memory(*decoders):
        both = side_by_side(
            [partial(find_partners, *rows, certify) for rows in (decoders, encoders)]
        )
        return SAEPartners(*both)
    with step(0, 2):
        of_decoders = find_partners(*decoders, certify)
    with step(1, 2):
        of_encoders = find_partners(*encoders, certify)
    return SAEPartners(of_decoders, of_encoders)


def best_partner_statistics(best: BestCosines) -> Statistics:
    """Statistics `names.BEST` of given best cosines."""
    return {"max_cosine": best.max_cosine, "max_abs_cosine": best.max_abs_cosine}


def best_partners(A: Tensor, B: Tensor) -> Statistics:
    """Statistics `names.BEST` of two matrices of directions."""
    return best_partner_statistics(best_cosines(A, B))


def decoder_statistics(A: Tensor, B: Tensor) -> Statistics:
    """Statistics `names.BEST` and `names.MATCHED` of two matrices of directions."""
    return partner_statistics(find_partners(A, B))


def pair_statistics(A: Weights, B: Weights, threshold: float = 0.7) -> Statistics:
    """All statistics of a pair; see `SAEPartners.statistics`."""
    return find_sae_partners(A, B).statistics(threshold)


def cosine_to_initialization(
    decoder: Float[Tensor, "*many n d"], initial: Float[Tensor, "*many n d"]
) -> Float[Tensor, "*many"]:
    """Mean cosine to initialization of the latents.

    If it is near 1, training has not moved the dictionary, and a similarity at chance is that of
    two random initializations.
    """
    return cosine_similarity(decoder.double(), initial.double(), dim=-1).mean(dim=-1)


def _share(marked: Bool[Tensor, " n"], matching: Matching) -> float:
    return marked.sum().item() / len(matching.matched_cosines)
