"""One dictionary from several seeds': cluster their latents, keep what most seeds have, refit.

The fourth report proposes to pool the distinct latents of several seeds without saying how. This is
the plainest way we know: average-linkage clusters by the cosine of decoder rows, a vote of each
seed that has a latent in the cluster, the mean of a cluster's encoders and decoders, and a
decoder refitted by least squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster import hierarchy
from torch import Tensor

from audit.training.pooling_config import PoolingConfig
from audit.training.stages import INITIAL, saes, stack, stacked, tensor
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.matching.match import match

_BATCH = 4096


class Pool(NamedTuple):
    """The live latents of the seeds of one group."""

    saes: Sequence[SAE]
    """The dictionaries."""
    seed: Int[ndarray, " m"]
    """Of which of them each latent is."""
    latent: Int[ndarray, " m"]
    """Its place there."""
    firings: Float[ndarray, " m"]
    """How often it fired in the last epoch of its training."""


class Clusters(NamedTuple):
    """Latents that point the same way, over seeds."""

    members: list[Int[ndarray, " some"]]
    """Places in the pool; the clusters with most votes first, by firings where votes are equal."""
    votes: Int[ndarray, " clusters"]
    """Seeds that have a latent in each."""


def pool(
    config: PoolingConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """One dictionary for each group of seeds.

    Args:
        config: groups, and how latents are chosen.
        dictionaries: as `training.stages:train` returns them, firings included.
        activations: `train` [samples, d], to which decoders are refitted.

    Returns:
        As `training.stages:train`, with groups [G] in the place of seeds and without trace and
        firings; `initial_decoder` holds directions uniform on the sphere. And `votes` [G, n],
        of each latent kept (0 where nobody voted), `clusters` [G] and `pooled` [G], the number of
        clusters and of latents they were made of.

    Raises:
        UserError: for fewer seeds than a group has, or dictionaries without a row for each latent.
    """
    trained = saes(dictionaries, config.dictionary)
    if not 2 <= config.group_size <= len(trained):
        raise UserError(
            f"group_size is {config.group_size} with {len(trained)} dictionaries; it must lie "
            f"in 2…{len(trained)}"
        )
    x = tensor(activations["train"])
    groups = range(len(trained) // config.group_size)
    made, voted, sizes = [], [], []
    for group in groups:
        some = slice(group * config.group_size, (group + 1) * config.group_size)
        pooled = pool_of(trained[some], dictionaries["last_epoch_firings"][some])
        clusters = cluster(pooled, config.cosine, config.dictionary.n_latents)
        sae, votes = _chosen(pooled, clusters, config, group)
        made.append(refitted(sae, x, config.ridge) if config.refit else sae)
        voted.append(votes)
        sizes.append((len(clusters.members), len(pooled.seed)))
        report(group + 1, len(groups))
    n, d = made[0].decoder.shape
    blank = replace(config.dictionary, n_latents=n, k=min(config.dictionary.k, n))
    return {
        **stacked(made),
        INITIAL: stack(initialize(blank, d, group).decoder for group in groups),
        "votes": np.stack(voted),
        "clusters": np.array([clusters for clusters, _ in sizes]),
        "pooled": np.array([latents for _, latents in sizes]),
    }


def pool_of(dictionaries: Sequence[SAE], firings: Int[ndarray, "S n"]) -> Pool:
    """The latents of several dictionaries that fire."""
    seed, latent = np.nonzero(firings)
    return Pool(dictionaries, seed, latent, firings[seed, latent].astype(float))


def cluster(pooled: Pool, cosine: float, at_least: int = 1) -> Clusters:
    """Average-linkage clusters of decoder rows, joined down to a mean cosine of `cosine`, but only
    until `at_least` of them are left."""
    rows = normalize_rows(_rows(pooled, "decoder")).double().numpy()
    links = hierarchy.linkage(rows, "average", metric="cosine")
    labels = hierarchy.fcluster(links, 1 - cosine, "distance")
    if labels.max() < at_least:
        labels = hierarchy.fcluster(links, at_least, "maxclust")
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    votes = np.array([len(np.unique(pooled.seed[each])) for each in members])
    mass = np.array([pooled.firings[each].sum() for each in members])
    # Firings are whole numbers, so that which of two clusters comes first hangs on no rounding.
    ranked = np.lexsort((-mass, -votes))
    return Clusters([members[i] for i in ranked], votes[ranked])


def averaged(dictionaries: Sequence[SAE]) -> SAE:
    """The mean of each latent of the first and its partners in the others, matched one to one."""
    first = dictionaries[0]
    partners = [match(first.decoder, other.decoder).partner for other in dictionaries[1:]]
    parts = {
        name: torch.stack(
            [getattr(first, name)]
            + [
                getattr(other, name)[partner]
                for other, partner in zip(dictionaries[1:], partners, strict=True)
            ]
        ).mean(0)
        for name in ("encoder", "encoder_bias", "decoder", "threshold")
    }
    return _unit(SAE(**parts, decoder_bias=_mean_bias(dictionaries), config=first.config))


def merged(pooled: Pool, members: Sequence[Int[ndarray, " some"]]) -> SAE:
    """One latent for each set of members: the mean of their encoders, biases and decoders."""
    config = pooled.saes[0].config
    parts = {
        name: torch.stack([_rows(pooled, name)[torch.from_numpy(each)].mean(0) for each in members])
        for name in ("encoder", "encoder_bias", "decoder", "threshold")
    }
    settings = replace(config, n_latents=len(members), k=min(config.k, len(members)))
    return _unit(SAE(**parts, decoder_bias=_mean_bias(pooled.saes), config=settings))


def refitted(sae: SAE, x: Float[Tensor, "m d"], ridge: float) -> SAE:
    """`sae` with the decoder and bias that reconstruct `x` from its codes with least squares.

    A latent's length moves into its encoder, so that rows have length one again; one that
    never fires keeps its row.
    """
    n = len(sae.decoder)
    moments = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    target = torch.zeros(n + 1, x.shape[1], dtype=torch.float64)
    for batch in x.split(_BATCH):
        codes = torch.cat([sae.encode(batch), torch.ones(len(batch), 1)], dim=1).double()
        moments += codes.T @ codes
        target += codes.T @ batch.double()
    fires = moments.diagonal()[:n] > 0
    moments.diagonal()[:n] += ridge * moments.diagonal()[:n].mean()
    solved = torch.linalg.solve(moments, target).float()
    decoder = torch.where(fires[:, None], solved[:n], sae.decoder)
    return _unit(replace(sae, decoder=decoder, decoder_bias=solved[n]), keep_length=True)


def _chosen(
    pooled: Pool, clusters: Clusters, config: PoolingConfig, group: int
) -> tuple[SAE, Int[ndarray, " n"]]:
    """The dictionary of one group, and the votes of each of its latents."""
    n = config.dictionary.n_latents
    if config.choose == "average":
        return averaged(pooled.saes), np.full(n, len(pooled.saes))
    if config.choose == "drawn":
        drawn = np.random.default_rng((config.seed, group)).permutation(len(pooled.seed))[:n]
        return merged(pooled, np.split(drawn, len(drawn))), np.ones(len(drawn), int)
    if len(clusters.members) < n:
        raise UserError(
            f"group {group} has {len(pooled.seed)} latents in {len(clusters.members)} directions; "
            f"{n} are wanted"
        )
    return merged(pooled, clusters.members[:n]), clusters.votes[:n]


def _rows(pooled: Pool, name: str) -> Tensor:
    """One part of all latents of the pool."""
    parts = torch.stack([getattr(sae, name) for sae in pooled.saes])
    return parts[torch.from_numpy(pooled.seed), torch.from_numpy(pooled.latent)]


def _mean_bias(dictionaries: Sequence[SAE]) -> Float[Tensor, " d"]:
    return torch.stack([sae.decoder_bias for sae in dictionaries]).mean(0)


def _unit(sae: SAE, keep_length: bool = False) -> SAE:
    """Decoder rows at length one; `keep_length` has the encoder write what they lose.

    Without it a mean of directions that differ only shortens the row, and says nothing of
    how strongly the latent should write.
    """
    length = sae.decoder.norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    unit = replace(sae, decoder=sae.decoder / length[:, None])
    if not keep_length:
        return unit
    return replace(
        unit,
        encoder=sae.encoder * length[:, None],
        encoder_bias=sae.encoder_bias * length,
    )
