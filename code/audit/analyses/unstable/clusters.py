"""Stage: do clusters of unstable latents have the same span in other seeds?

Seeds are dealt into disjoint groups. In each the unstable latents of all its seeds are pooled and
clustered by what they write and by when they fire, apart from the other groups. A cluster's partner
in another group is the cluster whose span agrees best at its own dimension. Both nulls keep the
other group's clusters, their sizes and all cosines within them, turn them elsewhere, and search
again: `gauge` turns all together by a random symmetry of the data, `covariance` gives each a span
of its own that follows the data's covariance. Stable latents go through the same as a control.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import sparse
from torch import Generator, Tensor

from audit.analyses.unstable.config import ClustersConfig
from audit.evaluation.groups.codes import correlations, sparse_columns
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
    config: ClustersConfig, dictionaries: Mapping, camps: Mapping, activations: Mapping
) -> dict[str, Any]:
    """Spans of clusters of one group of seeds held against those of another.

    Args:
        config: how latents are told apart, clustered and compared.
        dictionaries: as `training.stages:train` returns them.
        camps: as `analyses.unstable.camps:camps` returns it.
        activations: `train` [samples, d], `heldout` [c · (length − 1), d] and `heldout_contexts`.

    Returns:
        For `unstable` and for `stable` latents: [G, G] tables over groups of seeds, NaN on the
        diagonal, means over clusters and both ways: `found`, overlap with the best cluster of the
        other group; the same under `gauge` and `covariance`; `member`, mean best cosine of the
        clusters' latents with a live latent of a seed of the other group, `member_gauge` after a
        scramble, and `member_matched`, with the best latent of the partner cluster; `square` and
        `square_gauge`, of the best cosines squared, which are overlaps of lines. And [G]:
        `dimension`, mean participation of the clusters; `clusters`, their number; `members`, their
        mean size; `covered`, the share of the latents that is in one; `between`, mean cosine of two
        members of a cluster that come from different seeds.
    """
    run = _Run(config, dictionaries, camps, activations)
    found = {}
    for done, kind in enumerate(KINDS):
        found[kind] = run.compared(kind)
        report(done + 1, len(KINDS))
    return {**found, "kind": run.groups.kind}


class _Part(NamedTuple):
    """Clusters of one group of seeds."""

    rows: Float[Tensor, "n d"]
    """Latents, at length one."""
    origin: Int[ndarray, "n 2"]
    """Seed and number of each."""
    clusters: list[Cluster]


class _Run:
    """One measurement under way."""

    def __init__(
        self, config: ClustersConfig, dictionaries: Mapping, camps: Mapping, activations: Mapping
    ):
        self.config, self.camps = config, camps
        self.generator = Generator().manual_seed(config.seed)
        draw = np.random.default_rng(config.seed)
        trained = saes(dictionaries, config.dictionary)
        self.rows = [normalize_rows(sae.decoder) for sae in trained]
        x = torch.from_numpy(_some_contexts(activations, config.contexts, draw))
        self.codes = [sparse_columns(sae, x) for sae in trained]
        self.groups = two_groups(camps["best"], camps["live"], config.groups)
        train = torch.from_numpy(np.array(activations["train"]))
        self.gauge, self.covariance = GaugeBasis.from_activations(train), covariance_of(train)
        self.dealt = np.array_split(draw.permutation(len(trained)), config.parts)

    def compared(self, kind: str) -> dict[str, ndarray]:
        """All tables of one kind of latents."""
        chosen = self.groups.unstable if kind == "unstable" else self.groups.stable
        parts = [self._part(np.sort(seeds), chosen) for seeds in self.dealt]
        shape = (len(parts), len(parts))
        one_way = {name: np.full(shape, np.nan) for name in TABLES}
        for g, ours in enumerate(parts):
            for h, theirs in enumerate(parts):
                if g != h:
                    for name, value in self._pair(ours, theirs, self.dealt[h]).items():
                        one_way[name][g, h] = value
        return {
            **{name: 0.5 * (table + table.T) for name, table in one_way.items()},
            "dimension": _each(parts, lambda c, _: c.participation),
            "members": _each(parts, lambda c, _: len(c.members)),
            "between": _each(parts, _between),
            "clusters": np.array([len(part.clusters) for part in parts]),
            "covered": np.array([_covered(part) for part in parts]),
        }

    def _part(self, seeds: Int[ndarray, " g"], chosen: list[ndarray]) -> _Part:
        """Latents of some seeds, pooled and clustered."""
        config = self.config
        origin = np.array([(s, i) for s in seeds for i in chosen[s]])
        rows = torch.cat([self.rows[s][torch.from_numpy(chosen[s])] for s in seeds])
        codes = sparse.csc_array(sparse.hstack([self.codes[s][:, chosen[s]] for s in seeds]))
        alike = 0.5 * ((rows @ rows.T).double().numpy() + correlations(codes))
        labels = ward_labels(alike, max(1, len(rows) // config.size))
        fewest_seeds = min(config.fewest_seeds, len(seeds))
        return _Part(
            rows, origin, select_clusters(rows, origin[:, 0], labels, config.fewest, fewest_seeds)
        )

    def _pair(self, ours: _Part, theirs: _Part, seeds: Int[ndarray, " g"]) -> dict[str, float]:
        """Our clusters in the other group."""
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
        """Mean best cosine, or square, of clusters' latents with a single other seed."""
        best = np.clip(self.camps[table].astype(float), 0.0, None) ** power
        return float(np.mean([best[own[:, :1], seeds, own[:, 1:]].mean() for own in members]))


def _matched(ours: _Part, theirs: _Part, partner: Int[ndarray, " ours"]) -> float:
    """Mean over clusters of their latents' best cosine with a latent of the partner."""
    each = []
    for cluster, other in zip(ours.clusters, partner, strict=True):
        mine, others = cluster.members, theirs.clusters[other].members
        cosines = ours.rows[torch.from_numpy(mine)] @ theirs.rows[torch.from_numpy(others)].T
        each.append(cosines.amax(dim=1).mean().item())
    return float(np.mean(each))


def _between(cluster: Cluster, part: _Part) -> float:
    """Mean cosine of two of its latents that come from different seeds."""
    rows = part.rows[torch.from_numpy(cluster.members)]
    seeds = part.origin[cluster.members, 0]
    apart = seeds[:, None] != seeds
    return float((rows @ rows.T).numpy()[apart].mean()) if apart.any() else 0.0


def _each(parts: list[_Part], measure) -> ndarray:
    """Mean over the clusters of each group; 0 where there are none."""
    return np.array([np.mean([measure(c, part) for c in part.clusters] or [0.0]) for part in parts])


def _covered(part: _Part) -> float:
    return sum(len(cluster.members) for cluster in part.clusters) / len(part.rows)


def _some_contexts(activations: Mapping, count: int, draw: np.random.Generator) -> ndarray:
    """Held-out activations of so many contexts."""
    contexts = len(activations["heldout_contexts"])
    some = np.sort(draw.choice(contexts, min(count, contexts), replace=False))
    x = np.asarray(activations["heldout"])
    return x.reshape(contexts, -1, x.shape[1])[some].reshape(-1, x.shape[1])
