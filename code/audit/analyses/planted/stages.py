"""Stage: dictionaries of a planted truth: assignment of latents to groups, and recurrence.

With the truth known, each latent can be assigned to the group whose subspace holds most of its
decoder row. Two properties can then differ: recurrence of the *latent* in another seed, and
recurrence of the *span* of all latents of its group. Because latents are selected by the truth,
agreement of their spans is partly due to the selection; `nearest` measures it without the truth.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audit.analyses.planted.config import PlantedArmConfig
from audit.analyses.planted.groups import (
    PlantedGroups,
    assign_to_truth,
    recovered,
    shares_of_groups,
    spanned,
)
from audit.analyses.planted.pairs import Pairs
from audit.evaluation.config import EvaluationConfig
from audit.evaluation.stages import evaluate
from audit.subjects.synthetic.planted import planted
from audit.training.stages import train
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows


def planted_arm(config: PlantedArmConfig) -> dict[str, Any]:
    """Draw samples, train dictionaries on them, and compare these with the truth.

    Returns:
        `quality`: `explained_variance`, `l0`, `dead_fraction` [S] on held-out samples. `frequency`
        [groups], `rank` [groups], `singles`, their number. For each latent, [S, n]: `owner`, its
        group or −1, `share` of its row in the nearest group, `share_gauge`, the same after a
        scramble, `live`. [S, S, n], NaN where s = t: `best`, the best cosine of latent i of s with
        a live one of t, `best_turned` after t's blocks were rotated within themselves, `best_gauge`
        after t was scrambled, `expected`, the covering probability at the threshold (NaN for
        unassigned latents), `nearest` and `nearest_gauge`, the share of the row in the span of the
        live rows of t with the largest absolute cosines, as many as a block has dimensions.
        [S, S, blocks], NaN if either seed has no latent of the block: `overlap` and `angle` of its
        spans, the largest in degrees, each under the names of `pairs.LEVELS`; and `isotropic`, the
        expected overlap of unrelated spans. `recovered` [S, singles], best cosine of each single
        with a live latent, and `spanned` [S, blocks], share of each block's subspace that its
        latents span.
    """
    data = planted(config.truth)
    trained = train(config.training, data)
    evaluation = evaluate(EvaluationConfig(config.training.dictionary), trained, data)
    found = against_truth(
        torch.from_numpy(trained["decoder"]),
        torch.from_numpy(evaluation["live"]),
        PlantedGroups(
            torch.from_numpy(data["directions"]),
            torch.from_numpy(data["unit"]),
            torch.from_numpy(data["rank"]),
            config.truth.singles,
        ),
        GaugeBasis.from_activations(torch.from_numpy(data["train"])),
        config,
    )
    heldout = evaluation["heldout"]
    return {
        **found,
        "quality": {name: heldout[name] for name in ("explained_variance", "l0", "dead_fraction")},
        "frequency": data["frequency"],
        "rank": data["rank"],
        "singles": config.truth.singles,
    }


def against_truth(
    decoders: Float[Tensor, "S n d"],
    live: Bool[Tensor, "S n"],
    groups: PlantedGroups,
    basis: GaugeBasis,
    config: PlantedArmConfig,
) -> dict[str, Any]:
    """Compare decoders with the truth; see `planted_arm` for the arrays."""
    generator = torch.Generator().manual_seed(config.seed)
    shares = [shares_of_groups(normalize_rows(W), groups) for W in decoders]
    ours = [
        assign_to_truth(W, alive, share, groups, config.owned_from)
        for W, alive, share in zip(decoders, live, shares, strict=True)
    ]
    scrambled = [gauge_scramble(each.rows, basis, generator) for each in ours]
    pairs = Pairs(len(ours), decoders.shape[1], groups, basis, config.threshold)
    for s, one in enumerate(ours):
        for t, other in enumerate(ours):
            if s != t:
                pairs.enter(s, t, one, other, generator)
        report(s + 1, len(ours))
    return {
        "owner": torch.stack([each.owner for each in ours]).numpy(),
        "share": torch.stack([share.amax(1) for share in shares]).numpy(),
        "share_gauge": torch.stack(
            [shares_of_groups(W, groups).amax(1) for W in scrambled]
        ).numpy(),
        "live": live.numpy(),
        **pairs.arrays(),
        "recovered": torch.stack([recovered(each, groups) for each in ours]).numpy(),
        "spanned": torch.stack([spanned(each, groups) for each in ours]).numpy(),
    }
