"""Stage: overlap of the spans of clusters of unstable latents between groups of seeds.

Seeds are split into disjoint groups. In each group the unstable latents of all its seeds are pooled
and clustered by decoder cosine and by correlation of activations. A cluster's partner in another
group is the cluster with the largest overlap of spans at the cluster's dimension. Both nulls keep
the other group's clusters, their sizes and all cosines within them, rotate them, and search again:
`gauge` rotates all together by a random symmetry of the data, `covariance` gives each an
independent span that follows the data's covariance. Stable latents serve as a control.
"""

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Generator, Tensor

from audit.analyses.unstable.config import ClustersConfig
from audit.analyses.unstable.results import ClusterSpans, UnstableClusters
from audit.evaluation.groups.codes import correlations, sparse_columns
from audit.evaluation.groups.results import Camps
from audit.subjects.language_model.results import TextActivations
from audit.training.results import Dictionaries
from audit.training.stages import saes
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.groups import two_groups
from seedstability.stability.subspaces.clusters import (
    Cluster,
    best_overlaps,
    random_spans_like,
    select_clusters,
    stacked_bases,
    ward_labels,
)

KINDS = ("unstable", "stable")
TABLES = (
    *("found", "gauge", "covariance", "member", "member_gauge", "member_matched"),
    *("square", "square_gauge"),
)


def unstable_clusters(
    config: ClustersConfig,
    dictionaries: Dictionaries,
    camps: Camps,
    activations: TextActivations,
) -> UnstableClusters:
    """Compare spans of clusters of one group of seeds with those of another."""
    run = _ClusterComparison(config, dictionaries, camps, activations)
    found = {}
    for done, kind in enumerate(KINDS):
        found[kind] = run.compared(kind)
        report(done + 1, len(KINDS))
    return {
        "unstable": found["unstable"],
        "stable": found["stable"],
        "kind": run.groups.kind,
    }


class _SeedGroup(NamedTuple):
    """Clusters of one group of seeds."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    origin: Int[ndarray, "n 2"]
    """Seed and latent number of each row."""
    clusters: list[Cluster]


class _ClusterComparison:
    """Decoders, codes and groups of one clusters stage."""

    def __init__(
        self,
        config: ClustersConfig,
        dictionaries: Dictionaries,
        camps: Camps,
        activations: TextActivations,
    ):
        self.config, self.camps = config, camps
        self.generator = Generator().manual_seed(config.seed)
        draw = np.random.default_rng(config.seed)
        trained = saes(dictionaries, config.dictionary)
        self.rows = [normalize_rows(sae.decoder) for sae in trained]
        x = torch.from_numpy(_sample_contexts(activations, config.contexts, draw))
        self.codes = [sparse_columns(sae, x) for sae in trained]
        self.groups = two_groups(camps["best"], camps["live"], config.groups)
        train = torch.from_numpy(np.array(activations["train"]))
        self.gauge, self.covariance = GaugeBasis.from_activations(train), covariance_of(train)
        self.dealt = np.array_split(draw.permutation(len(trained)), config.parts)

    def compared(self, kind: str) -> ClusterSpans:
        """Compute all tables of one kind of latents."""
        chosen = self.groups.unstable if kind == "unstable" else self.groups.stable
        parts = [self._part(np.sort(seeds), chosen) for seeds in self.dealt]
        shape = (len(parts), len(parts))
        one_way = {name: np.full(shape, np.nan) for name in TABLES}
        for g, ours in enumerate(parts):
            for h, theirs in enumerate(parts):
                if g != h:
                    for name, value in self._pair(ours, theirs, self.dealt[h]).items():
                        one_way[name][g, h] = value
        found = {
            **{name: 0.5 * (table + table.T) for name, table in one_way.items()},
            "dimension": _each(parts, lambda c, _: c.participation),
            "members": _each(parts, lambda c, _: len(c.members)),
            "between": _each(parts, _between),
            "clusters": np.array([len(part.clusters) for part in parts]),
            "covered": np.array([_covered(part) for part in parts]),
        }
        return cast(ClusterSpans, found)

    def _part(self, seeds: Int[ndarray, " g"], chosen: list[ndarray]) -> _SeedGroup:
        """Pool and cluster the latents of a group of seeds."""
        config = self.config
        origin = np.array([(s, i) for s in seeds for i in chosen[s]])
        rows = torch.cat([self.rows[s][torch.from_numpy(chosen[s])] for s in seeds])
        codes = sparse.csc_array(sparse.hstack([self.codes[s][:, chosen[s]] for s in seeds]))
        alike = 0.5 * ((rows @ rows.T).double().numpy() + correlations(codes))
        labels = ward_labels(alike, max(1, len(rows) // config.size))
        fewest_seeds = min(config.fewest_seeds, len(seeds))
        return _SeedGroup(
            rows, origin, select_clusters(rows, origin[:, 0], labels, config.fewest, fewest_seeds)
        )

    def _pair(
        self, ours: _SeedGroup, theirs: _SeedGroup, seeds: Int[ndarray, " g"]
    ) -> dict[str, float]:
        """Compare the clusters of one group with those of the other."""
        if not ours.clusters or not theirs.clusters:
            return dict.fromkeys(TABLES, 0.0)
        rank = max(cluster.dimension for cluster in ours.clusters)
        bases = stacked_bases(theirs.clusters, rank)
        found, partner = best_overlaps(ours.clusters, bases)
        nulls = {
            "gauge": lambda: gauge_scramble(
                bases.flatten(0, 1), self.gauge, self.generator
            ).view_as(bases),
            "covariance": lambda: random_spans_like(bases, self.covariance, self.generator),
        }
        members = [ours.origin[cluster.members] for cluster in ours.clusters]
        return {
            "found": found.mean(),
            **{
                name: np.mean(
                    [best_overlaps(ours.clusters, draw())[0] for _ in range(self.config.draws)]
                )
                for name, draw in nulls.items()
            },
            "member": self._best("best", members, seeds, 1),
            "member_gauge": self._best("gauge", members, seeds, 1),
            "square": self._best("best", members, seeds, 2),
            "square_gauge": self._best("gauge", members, seeds, 2),
            "member_matched": _matched(ours, theirs, partner),
        }

    def _best(
        self, table: str, members: list[ndarray], seeds: Int[ndarray, " g"], power: int
    ) -> float:
        """Average the best cosine, or its square, of clusters' latents in single other seeds."""
        best = np.clip(cast(Mapping, self.camps)[table].astype(float), 0.0, None) ** power
        return float(np.mean([best[own[:, :1], seeds, own[:, 1:]].mean() for own in members]))


def _matched(ours: _SeedGroup, theirs: _SeedGroup, partner: Int[ndarray, " ours"]) -> float:
    """Average over clusters their latents' best cosine with a latent of the partner cluster."""
    each = []
    for cluster, other in zip(ours.clusters, partner, strict=True):
        mine, others = cluster.members, theirs.clusters[other].members
        cosines = ours.rows[torch.from_numpy(mine)] @ theirs.rows[torch.from_numpy(others)].T
        each.append(cosines.amax(dim=1).mean().item())
    return float(np.mean(each))


def _between(cluster: Cluster, part: _SeedGroup) -> float:
    """Compute the mean cosine of two of its latents from different seeds."""
    rows = part.rows[torch.from_numpy(cluster.members)]
    seeds = part.origin[cluster.members, 0]
    apart = seeds[:, None] != seeds
    return float((rows @ rows.T).numpy()[apart].mean()) if apart.any() else 0.0


def _each(parts: list[_SeedGroup], measure) -> ndarray:
    """Average over the clusters of each group; 0 if there are none."""
    return np.array([np.mean([measure(c, part) for c in part.clusters] or [0.0]) for part in parts])


def _covered(part: _SeedGroup) -> float:
    return sum(len(cluster.members) for cluster in part.clusters) / len(part.rows)


def _sample_contexts(
    activations: TextActivations, count: int, draw: np.random.Generator
) -> ndarray:
    """Draw the held-out activations of `count` contexts."""
    contexts = len(activations["heldout_contexts"])
    drawn = np.sort(draw.choice(contexts, min(count, contexts), replace=False))
    x = np.asarray(activations["heldout"])
    return x.reshape(contexts, -1, x.shape[1])[drawn].reshape(-1, x.shape[1])
