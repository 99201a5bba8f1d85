"""Stage: overlap of the spans of two seeds' unstable latents."""

from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.unstable.config import SpansConfig
from audit.analyses.unstable.results import UnstableSpans
from audit.evaluation.groups.results import Camps
from audit.subjects.results import Activations
from audit.training.results import Dictionaries
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, data_directions, gauge_scramble
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.groups import Groups, two_groups
from seedstability.stability.subspaces.principal import leading_directions, principal_basis
from seedstability.stability.subspaces.spans import (
    dimensions_for_share,
    overlap,
    participation,
    partners_only_null,
    residual_moments,
    unit_row_moments,
)

LEVELS = (
    *("found", "covariance", "stable", "components", "gauge", "anybody"),
    *("partners", "leftover", "among_stable"),
)
"""Overlap of the unstable spans of two seeds; of spans of as many directions with the data's
covariance; of unstable with the other seed's stable; of unstable with the data's leading
components; of unstable after a gauge scramble; of as many random live latents; of unstable latents
that share single partners and nothing else; of as many directions with the covariance of the data
outside the stable spans; and of stable with stable."""
KINDS = ("unstable", "stable", "drawn", "anybody", "leftover")


def unstable_spans(
    config: SpansConfig, dictionaries: Dictionaries, camps: Camps, activations: Activations
) -> UnstableSpans:
    """Compute overlaps of leading subspaces at matched dimension, with all reference levels."""
    generator = Generator().manual_seed(config.seed)
    x = torch.from_numpy(np.array(activations["train"]))
    decoders = normalize_rows(torch.from_numpy(np.array(dictionaries["decoder"])).flatten(0, 1))
    decoders = decoders.view(dictionaries["decoder"].shape)
    groups = two_groups(camps["best"], camps["live"], config.groups)
    basis = principal_basis(x, config.center)
    second = (basis.directions.T * basis.variances) @ basis.directions
    moments = {
        "unstable": _moments(decoders, groups.unstable),
        "stable": _moments(decoders, groups.stable),
        "drawn": [
            unit_row_moments(data_directions(len(some), second, generator))
            for some in groups.unstable
        ],
        "anybody": _moments(decoders, _random_live(camps["live"], groups, config.seed)),
    }
    dimensions = _dimensions(
        config, groups, [dimensions_for_share(m, config.share) for m in moments["unstable"]]
    )
    moments["leftover"] = [
        unit_row_moments(data_directions(len(some), residual_moments(second, stable), generator))
        for some, stable in zip(
            groups.unstable,
            (leading_directions(each, dimensions[0]) for each in moments["stable"]),
            strict=True,
        )
    ]
    dimensions_of_share = {
        kind: [dimensions_for_share(each, config.share) for each in moments[kind]] for kind in KINDS
    }
    top = {
        kind: torch.stack([leading_directions(each, max(dimensions)) for each in moments[kind]])
        for kind in KINDS
    }
    rows = [W[torch.from_numpy(some)] for W, some in zip(decoders, groups.unstable, strict=True)]
    gauge = GaugeBasis.from_basis(basis, len(x))
    spans = _Spans(top, rows, basis.directions, gauge, generator)
    found = {
        "dimensions": np.array(dimensions),
        **spans.tables(dimensions),
        "random": np.array(dimensions) / decoders.shape[-1],
        "member": _members(camps["best"], groups),
        "member_gauge": _members(camps["gauge"], groups),
        "participation": {
            kind: np.array([participation(each) for each in moments[kind]]) for kind in KINDS
        },
        "ninety": {kind: np.array(values) for kind, values in dimensions_of_share.items()},
        "data_participation": participation(second),
        "data_ninety": dimensions_for_share(second, config.share),
        "kind": groups.kind,
        "n_stable": np.array([len(each) for each in groups.stable]),
        "n_unstable": np.array([len(each) for each in groups.unstable]),
    }
    return cast(UnstableSpans, found)


def _moments(decoders: Tensor, groups: list[np.ndarray]) -> list[Float[Tensor, "d d"]]:
    return [
        unit_row_moments(W[torch.from_numpy(some)])
        for W, some in zip(decoders, groups, strict=True)
    ]


def _random_live(live: np.ndarray, groups: Groups, seed: int) -> list[np.ndarray]:
    """Draw as many live latents of each seed as it has unstable ones."""
    draw = np.random.default_rng(seed)
    return [
        draw.choice(np.flatnonzero(alive), len(some), replace=False)
        for alive, some in zip(live, groups.unstable, strict=True)
    ]


def _dimensions(config: SpansConfig, groups: Groups, dimensions_of_share: list[int]) -> list[int]:
    most = groups.smallest
    main = min(int(np.median(dimensions_of_share)), most)
    return [main, *(k for k in config.dimensions if k <= most)]


class _Spans(NamedTuple):
    """Leading directions of all seeds, and of the data."""

    top: dict[str, Float[Tensor, "S k d"]]
    unstable: list[Float[Tensor, "n d"]]
    components: Float[Tensor, "d d"]
    gauge: GaugeBasis
    generator: Generator

    def tables(self, dimensions: list[int]) -> dict[str, np.ndarray]:
        """Compute the overlaps [k, S, S] of each level."""
        n_seeds = len(self.top["unstable"])
        shape = (len(dimensions), n_seeds, n_seeds)
        tables = {level: np.full(shape, np.nan) for level in LEVELS}
        for s in range(n_seeds):
            for t in range(s + 1, n_seeds):
                # A scramble is linear, so the scrambled span is the span of scrambled rows.
                scrambled = gauge_scramble(self.top["unstable"][t], self.gauge, self.generator)
                alone = [self._alone(s, t, max(dimensions)), self._alone(t, s, max(dimensions))]
                for place, k in enumerate(dimensions):
                    for level, value in self._pair(s, t, k, scrambled[:k], alone).items():
                        tables[level][place, s, t] = tables[level][place, t, s] = value
            report(s + 1, n_seeds)
        return tables

    def _alone(self, s: int, t: int, k: int) -> Float[Tensor, "k d"]:
        """Return the span of t's unstable latents if they shared only single partners with s."""
        rows = partners_only_null(self.unstable[s], self.unstable[t], self.gauge, self.generator)
        return leading_directions(unit_row_moments(rows), k)

    def _pair(
        self, s: int, t: int, k: int, scrambled: Tensor, alone: list[Tensor]
    ) -> dict[str, float]:
        unstable, stable, drawn, random_live, leftover = (self.top[kind][:, :k] for kind in KINDS)
        components = self.components[:k]
        return {
            "found": overlap(unstable[s], unstable[t]),
            "covariance": overlap(drawn[s], drawn[t]),
            "stable": _mean(overlap(unstable[s], stable[t]), overlap(unstable[t], stable[s])),
            "components": _mean(*(overlap(unstable[i], components) for i in (s, t))),
            "gauge": overlap(unstable[s], scrambled),
            "anybody": overlap(random_live[s], random_live[t]),
            "partners": _mean(*(overlap(unstable[i], alone[j][:k]) for j, i in enumerate((s, t)))),
            "leftover": overlap(leftover[s], leftover[t]),
            "among_stable": overlap(stable[s], stable[t]),
        }


def _members(best: np.ndarray, groups: Groups) -> np.ndarray:
    """Compute mean squared best cosines [S, S] of each seed's unstable latents in the others."""
    one_way = np.stack(
        [
            np.square(np.clip(rows[:, some].astype(float), 0.0, None)).mean(axis=1)
            for rows, some in zip(best, groups.unstable, strict=True)
        ]
    )
    return 0.5 * (one_way + one_way.T)


def _mean(one: float, other: float) -> float:
    return 0.5 * (one + other)
