"""Pooling of several seeds: cluster their latents, keep the clusters that recur most, refit.

The fourth report proposes to pool the distinct latents of several seeds, but gives no method. This
is a simple one: average-linkage clusters by cosine of decoder rows; one vote per seed with a latent
in the cluster; the mean encoder and decoder of each cluster; a decoder refitted by least squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster import hierarchy
from torch import Tensor

from audit.training.config import PoolingConfig
from audit.training.results import Dictionaries
from audit.training.stages import saes, stacked, tensor
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.matching.match import match

_BATCH = 4096


class PooledDictionaries(Dictionaries):
    """One dictionary for each of G groups of seeds; `initial_decoder` are random directions."""

    votes: Int[ndarray, "G n"]
    """Seeds with a latent in the cluster of each latent that was kept."""
    clusters: Int[ndarray, " G"]
    """Number of clusters."""
    pooled: Int[ndarray, " G"]
    """Number of latents pooled."""


class Pool(NamedTuple):
    """Live latents of the seeds of one group."""

    saes: Sequence[SAE]
    """The dictionaries."""
    seed: Int[ndarray, " m"]
    """Dictionary of each latent."""
    latent: Int[ndarray, " m"]
    """Index of each latent in its dictionary."""
    firings: Float[ndarray, " m"]
    """Firings of each latent in the last epoch of training."""


class Clusters(NamedTuple):
    """Clusters of similar latents of several seeds."""

    members: list[Int[ndarray, " some"]]
    """Indices in the pool; clusters sorted by votes, ties by firings."""
    votes: Int[ndarray, " clusters"]
    """Number of seeds with a latent in each cluster."""


def pool(
    config: PoolingConfig,
    dictionaries: Dictionaries,
    activations: Mapping[str, np.ndarray],
) -> PooledDictionaries:
    """Pool each group of seeds into one dictionary.

    Args:
        config: groups, and the selection of latents.
        dictionaries: with firings.
        activations: `train` [samples, d], to which decoders are refitted.

    Raises:
        UserError: fewer seeds than `group_size`, or fewer clusters than latents.
    """
    trained = saes(dictionaries, config.dictionary)
    if not 2 <= config.group_size <= len(trained):
        raise UserError(
            f"group_size is {config.group_size} with {len(trained)} dictionaries; it must lie "
            f"in 2…{len(trained)}"
        )
    x = tensor(activations["train"])
    groups = range(len(trained) // config.group_size)
    pooled_saes, voted, sizes = [], [], []
    for group in groups:
        some = slice(group * config.group_size, (group + 1) * config.group_size)
        pooled = live_latents(trained[some], dictionaries["last_epoch_firings"][some])
        clusters = cluster(pooled, config.cosine, config.dictionary.n_latents)
        sae, votes = _select_latents(pooled, clusters, config, group)
        pooled_saes.append(refit_decoder(sae, x, config.ridge) if config.refit else sae)
        voted.append(votes)
        sizes.append((len(clusters.members), len(pooled.seed)))
        report(group + 1, len(groups))
    n, d = pooled_saes[0].decoder.shape
    blank = replace(config.dictionary, n_latents=n, k=min(config.dictionary.k, n))
    return {
        **stacked(pooled_saes, [initialize(blank, d, group).decoder for group in groups]),
        "votes": np.stack(voted),
        "clusters": np.array([clusters for clusters, _ in sizes]),
        "pooled": np.array([latents for _, latents in sizes]),
    }


def live_latents(dictionaries: Sequence[SAE], firings: Int[ndarray, "S n"]) -> Pool:
    """Pool the latents of several dictionaries that fire."""
    seed, latent = np.nonzero(firings)
    return Pool(dictionaries, seed, latent, firings[seed, latent].astype(float))


def cluster(pooled: Pool, cosine: float, at_least: int = 1) -> Clusters:
    """Cluster decoder rows by average linkage, down to a mean cosine of `cosine`.

    Stops when `at_least` clusters are left.
    """
    rows = normalize_rows(_rows(pooled, "decoder")).double().numpy()
    links = hierarchy.linkage(rows, "average", metric="cosine")
    labels = hierarchy.fcluster(links, 1 - cosine, "distance")
    if labels.max() < at_least:
        labels = hierarchy.fcluster(links, at_least, "maxclust")
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    votes = np.array([len(np.unique(pooled.seed[each])) for each in members])
    mass = np.array([pooled.firings[each].sum() for each in members])
    # Firings are whole numbers, so the ranking does not depend on rounding.
    ranked = np.lexsort((-mass, -votes))
    return Clusters([members[i] for i in ranked], votes[ranked])


def average(dictionaries: Sequence[SAE]) -> SAE:
    """Average each latent of the first dictionary with its one-to-one partners in the others."""
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
    return _normalized(SAE(**parts, decoder_bias=_mean_bias(dictionaries), config=first.config))


def merge(pooled: Pool, members: Sequence[Int[ndarray, " some"]]) -> SAE:
    """Merge each set of members into one latent: mean encoder, bias and decoder."""
    config = pooled.saes[0].config
    parts = {
        name: torch.stack([_rows(pooled, name)[torch.from_numpy(each)].mean(0) for each in members])
        for name in ("encoder", "encoder_bias", "decoder", "threshold")
    }
    settings = replace(config, n_latents=len(members), k=min(config.k, len(members)))
    return _normalized(SAE(**parts, decoder_bias=_mean_bias(pooled.saes), config=settings))


def refit_decoder(sae: SAE, x: Float[Tensor, "m d"], ridge: float) -> SAE:
    """Refit decoder and bias of `sae` on `x` by least squares from its latents.

    Rows are normalized, and their lengths multiply the encoder. A latent that never fires keeps its
    row.
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
    return _normalized(replace(sae, decoder=decoder, decoder_bias=solved[n]), keep_length=True)


def _select_latents(
    pooled: Pool, clusters: Clusters, config: PoolingConfig, group: int
) -> tuple[SAE, Int[ndarray, " n"]]:
    """Select the latents of one group; returns the dictionary and the votes of its latents."""
    n = config.dictionary.n_latents
    if config.choose == "average":
        return average(pooled.saes), np.full(n, len(pooled.saes))
    if config.choose == "drawn":
        drawn = np.random.default_rng((config.seed, group)).permutation(len(pooled.seed))[:n]
        return merge(pooled, np.split(drawn, len(drawn))), np.ones(len(drawn), int)
    if len(clusters.members) < n:
        raise UserError(
            f"group {group} has {len(pooled.seed)} latents in {len(clusters.members)} clusters; "
            f"n_latents is {n}, it must be at most that"
        )
    return merge(pooled, clusters.members[:n]), clusters.votes[:n]


def _rows(pooled: Pool, name: str) -> Tensor:
    """One parameter of all latents of the pool."""
    parts = torch.stack([getattr(sae, name) for sae in pooled.saes])
    return parts[torch.from_numpy(pooled.seed), torch.from_numpy(pooled.latent)]


def _mean_bias(dictionaries: Sequence[SAE]) -> Float[Tensor, " d"]:
    return torch.stack([sae.decoder_bias for sae in dictionaries]).mean(0)


def _normalized(sae: SAE, keep_length: bool = False) -> SAE:
    """Normalize decoder rows; with `keep_length` their lengths multiply the encoder.

    The length of a mean of different directions has no meaning, so it is dropped by default.
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
