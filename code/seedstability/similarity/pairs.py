"""The similarities of one pair of autoencoders, and which pairs of many are looked at."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from seedstability.progress import step
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.names import ENCODER, SHARES
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.matching.match import agreement
from seedstability.stability.matching.nearest import BestCosines, best_cosines
from seedstability.stability.pairs import Partners, find_partners
from seedstability.stability.subspaces.principal import PrincipalBasis, project_on_span

Statistics = dict[str, float]


@dataclass(frozen=True)
class Weights:
    """What of an autoencoder is compared: one row a latent."""

    decoder: Float[Tensor, "n d"]
    """Directions written."""
    encoder: Float[Tensor, "n d"]
    """Directions read."""

    def kept(self, mask: Bool[Tensor, "n"]) -> "Weights":
        """Only the latents marked."""
        return Weights(self.decoder[mask], self.encoder[mask])

    def within(self, basis: PrincipalBasis) -> "Weights":
        """Without what sticks out of the span of the data."""
        return Weights(project_on_span(self.decoder, basis), project_on_span(self.encoder, basis))

    def scrambled(self, basis: GaugeBasis, generator: torch.Generator) -> "Weights":
        """Through one random symmetry of the data's second moments, the same for both matrices."""
        both = gauge_scramble(torch.cat([self.decoder, self.encoder]), basis, generator)
        return Weights(both[: len(self.decoder)], both[len(self.decoder) :])


class SAEPartners(NamedTuple):
    """Two autoencoders looked at."""

    decoders: Partners
    encoders: Partners

    def statistics(self, threshold: float = 0.7) -> Statistics:
        """Every statistic of a pair: best partners, assignment, what both assignments share.

        Encoder figures carry the prefix `names.ENCODER`.
        """
        verdicts = agreement(self.decoders.matching, self.encoders.matching, threshold)
        return {
            **partner_statistics(self.decoders),
            **{
                f"{ENCODER}{name}": value
                for name, value in partner_statistics(self.encoders).items()
            },
            **{name: getattr(verdicts, name).double().mean().item() for name in SHARES},
        }


def partner_statistics(seen: Partners) -> Statistics:
    """The statistics of `names.BEST` and `names.MATCHED`."""
    matched = seen.matching.matched_cosines.double()
    return {
        **best_partner_statistics(seen.best),
        "matched_mean": matched.mean().item(),
        "matched_median": matched.quantile(0.5).item(),
    }


def find_sae_partners(A: Weights, B: Weights, certify: bool = False) -> SAEPartners:
    """Decoders and encoders of a pair, each on its own."""
    with step(0, 2):
        decoders = find_partners(A.decoder, B.decoder, certify)
    with step(1, 2):
        encoders = find_partners(A.encoder, B.encoder, certify)
    return SAEPartners(decoders, encoders)


def best_partner_statistics(best: BestCosines) -> Statistics:
    """The statistics of `names.BEST`."""
    return {"max_cosine": best.max_cosine, "max_abs_cosine": best.max_abs_cosine}


def best_partners(A: Tensor, B: Tensor) -> Statistics:
    """The statistics of `names.BEST` for two matrices of directions."""
    return best_partner_statistics(best_cosines(A, B))


def decoder_statistics(A: Tensor, B: Tensor) -> Statistics:
    """The statistics of `names.BEST` and `names.MATCHED` for two matrices of directions."""
    return partner_statistics(find_partners(A, B))


def pair_statistics(A: Weights, B: Weights, threshold: float = 0.7) -> Statistics:
    """Every statistic of a pair; see `SAEPartners`."""
    return find_sae_partners(A, B).statistics(threshold)


def cosine_to_initialization(
    decoder: Float[Tensor, "*many n d"], start: Float[Tensor, "*many n d"]
) -> Float[Tensor, "*many"]:
    """Mean cosine of each latent with its own direction before the first step.

    Near 1 the training has not moved the dictionary, and a similarity at chance is that of two
    random starts.
    """
    return cosine_similarity(decoder.double(), start.double(), dim=-1).mean(dim=-1)


def matched_pairs(n_seeds: int, config: ComparisonConfig) -> list[tuple[int, int]]:
    """Pairs of seeds that are matched one to one, each once, smaller index first."""
    ring = {
        tuple(sorted((i, (i + step) % n_seeds)))
        for i in range(n_seeds)
        for step in range(1, config.neighbours + 1)
    }
    front = range(min(config.complete, n_seeds))
    complete = {(i, j) for i in front for j in front if i < j}
    return sorted((i, j) for i, j in ring | complete if i != j)


def all_pairs(n_seeds: int) -> list[tuple[int, int]]:
    """Every pair of seeds, smaller index first."""
    return [(i, j) for i in range(n_seeds) for j in range(i + 1, n_seeds)]
