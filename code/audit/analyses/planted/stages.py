"""Stage: dictionaries of a planted truth, what each latent stands for, and what comes back.

With the truth known, each latent can be given to the unit whose subspace holds most of its decoder
row. Then two questions separate: is the *latent* in another seed, and is the *span* of all latents
of its unit? Latents are chosen by the truth here, so that their spans agree is partly the choice's
doing; `nearest` asks the same without it.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from audit.analyses.planted.config import PlantedArmConfig
from audit.analyses.planted.groups import Units, held_against, recovered, shares_of_units, spanned
from audit.analyses.planted.pairs import Pairs
from audit.evaluation.config import EvaluationConfig
from audit.evaluation.stages import evaluate
from audit.subjects.synthetic.planted import planted
from audit.training.stages import train
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import normalize_rows


def planted_arm(config: PlantedArmConfig) -> dict[str, Any]:
    """Draw samples, train on them, and hold what came out against the truth.

    Returns:
        `quality`: `explained_variance`, `l0`, `dead_fraction` [S] on held-out samples. `frequency`
        [units], `rank` [units], `singles`, their number. Of each latent, [S, n]: `owner`, the
        unit or −1, `share` of its row in the nearest unit, `share_gauge`, the same after a
        scramble, `live`. [S, S, n], NaN where s = t: `best`, the best cosine of latent i of s with
        a live one of t, `best_turned` after t's blocks were turned within themselves, `best_gauge`
        after t was scrambled, `expected`, the covering law's probability that it reaches the
        threshold (NaN for latents of nobody), `nearest` and `nearest_gauge`, the share of the row
        in the span of the live rows of t with the largest cosines by size, as many as a block has
        dimensions. [S, S, blocks], NaN where either seed has no latent of the block: `overlap` and
        `angle` of its spans, the largest in degrees, each as in `planted_pairs.LEVELS`; and
        `isotropic`, the overlap's expectation for unrelated spans. `recovered` [S, singles], best
        cosine of each single with a live latent, and `spanned` [S, blocks], share of each block's
        subspace that its latents span.
    """
    data = planted(config.truth)
    trained = train(config.training, data)
    worth = evaluate(EvaluationConfig(config.training.dictionary), trained, data)
    found = against_truth(
        torch.from_numpy(trained["decoder"]),
        torch.from_numpy(worth["live"]),
        Units(
            torch.from_numpy(data["directions"]),
            torch.from_numpy(data["unit"]),
            torch.from_numpy(data["rank"]),
            config.truth.singles,
        ),
        GaugeBasis.from_activations(torch.from_numpy(data["train"])),
        config,
    )
    heldout = worth["heldout"]
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
    units: Units,
    basis: GaugeBasis,
    config: PlantedArmConfig,
) -> dict[str, Any]:
    """All of `planted_arm`'s arrays that speak of decoders and the truth."""
    generator = torch.Generator().manual_seed(config.seed)
    shares = [shares_of_units(normalize_rows(W), units) for W in decoders]
    ours = [
        held_against(W, alive, share, units, config.owned_from)
        for W, alive, share in zip(decoders, live, shares, strict=True)
    ]
    strangers = [gauge_scramble(each.rows, basis, generator) for each in ours]
    pairs = Pairs(len(ours), decoders.shape[1], units, basis, config.threshold)
    for s, one in enumerate(ours):
        for t, other in enumerate(ours):
            if s != t:
                pairs.enter(s, t, one, other, generator)
        report(s + 1, len(ours))
    return {
        "owner": torch.stack([each.owner for each in ours]).numpy(),
        "share": torch.stack([share.amax(1) for share in shares]).numpy(),
        "share_gauge": torch.stack([shares_of_units(W, units).amax(1) for W in strangers]).numpy(),
        "live": live.numpy(),
        **pairs.arrays(),
        "recovered": torch.stack([recovered(each, units) for each in ours]).numpy(),
        "spanned": torch.stack([spanned(each, units) for each in ours]).numpy(),
    }
