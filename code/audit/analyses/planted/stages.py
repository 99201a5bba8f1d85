"""Stage: dictionaries of a planted truth: assignment of latents to groups, and recurrence.

With the truth known, each latent can be assigned to the group whose subspace holds most of its
decoder row. Two properties can then differ: recurrence of the *latent* in another seed, and
recurrence of the *span* of all latents of its group. Because latents are selected by the truth,
agreement of their spans is partly due to the selection; `nearest` measures it without the truth.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from audit.analyses.planted.config import PlantedArmConfig
from audit.analyses.planted.groups import assign_to_truth, recovered, shares_of_groups, spanned
from audit.analyses.planted.pairs import PairTables, compare_pairs
from audit.evaluation.config import EvaluationConfig
from audit.evaluation.results import BriefMetrics
from audit.evaluation.stages import evaluate
from audit.subjects.synthetic.planted import Truth, draw_truth, planted
from audit.training.stages import train
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows


class TruthComparison(PairTables):
    """Dictionaries of S seeds compared with the truth and with each other."""

    owner: Int[np.ndarray, "S n"]
    """The group of each latent, or `groups.UNASSIGNED`."""
    share: Float[np.ndarray, "S n"]
    """Share of each row in the subspace of the nearest group."""
    share_gauge: Float[np.ndarray, "S n"]
    """The same after a scramble."""
    live: Bool[np.ndarray, "S n"]
    recovered: Float[np.ndarray, "S singles"]
    """Best cosine of each single with a live latent."""
    spanned: Float[np.ndarray, "S blocks"]
    """Share of each block's subspace that its latents span."""


class PlantedArmResult(TruthComparison):
    """Dictionaries of S seeds trained on a planted truth, compared with it."""

    seeds: Int[np.ndarray, " S"]
    quality: BriefMetrics
    """On held-out samples."""
    frequency: Float[np.ndarray, " groups"]
    rank: Int[np.ndarray, " groups"]
    singles: int
    """Number of single directions, which are the first groups."""


def planted_arm(config: PlantedArmConfig) -> PlantedArmResult:
    """Draw samples, train dictionaries on them, and compare these with the truth."""
    data, truth = planted(config.truth), draw_truth(config.truth)
    trained = train(config.training, data)
    evaluation = evaluate(EvaluationConfig(config.training.dictionary), trained, data)
    heldout = evaluation["heldout"]
    return {
        **against_truth(
            torch.from_numpy(trained["decoder"]),
            torch.from_numpy(evaluation["live"]),
            truth,
            GaugeBasis.from_activations(torch.from_numpy(data["train"])),
            config,
        ),
        "seeds": np.array(config.training.seeds),
        "quality": {
            "explained_variance": heldout["explained_variance"],
            "l0": heldout["l0"],
            "dead_fraction": heldout["dead_fraction"],
        },
        "frequency": data["frequency"],
        "rank": data["rank"],
        "singles": truth.singles,
    }


def against_truth(
    decoders: Float[Tensor, "S n d"],
    live: Bool[Tensor, "S n"],
    truth: Truth,
    basis: GaugeBasis,
    config: PlantedArmConfig,
) -> TruthComparison:
    """Compare decoders with the truth and with each other."""
    generator = torch.Generator().manual_seed(config.seed)
    shares = [shares_of_groups(normalize_rows(W), truth) for W in decoders]
    ours = [
        assign_to_truth(W, alive, share, truth, config.owned_from)
        for W, alive, share in zip(decoders, live, shares, strict=True)
    ]
    by_chance = [
        shares_of_groups(gauge_scramble(each.rows, basis, generator), truth) for each in ours
    ]
    return {
        "owner": torch.stack([each.owner for each in ours]).numpy(),
        "share": torch.stack([share.amax(1) for share in shares]).numpy(),
        "share_gauge": torch.stack([share.amax(1) for share in by_chance]).numpy(),
        "live": live.numpy(),
        **compare_pairs(ours, truth, basis, config.threshold, generator),
        "recovered": torch.stack([recovered(each, truth) for each in ours]).numpy(),
        "spanned": torch.stack([spanned(each, truth) for each in ours]).numpy(),
    }
