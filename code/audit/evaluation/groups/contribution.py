"""Stages: contribution of stable and unstable latents to reconstruction and to the model's loss.

Each group is set to zero within the reconstruction. The two groups differ in size, and stable
latents fire more often. So three contributions are measured: of a whole group; of equally many
latents of both groups; and of pairs of one stable and one unstable latent that fire equally often.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from audit.evaluation.groups.codes import reconstruct_without, sparse_columns
from audit.evaluation.groups.config import (
    AdditionContributionConfig,
    ContributionConfig,
    LanguageContributionConfig,
)
from audit.evaluation.groups.results import Camps, Contributions
from audit.subjects.language_model.results import TextActivations
from audit.subjects.modular_addition.results import PairActivations
from audit.training.results import Dictionaries, positions_of
from audit.training.stages import saes, tensor
from seedstability.progress import report
from seedstability.stability.groups import Groups, two_groups
from seedstability.stability.statistics.pairing import nearest_pairs

WHOLE = ("stable", "unstable", "random")
"""Removals of whole groups, and of random live latents, as many as in `equal`."""
CONTROLLED = ("equal", "matched")
ModelScore = Callable[[Float[ndarray, "m d"]], dict[str, float]]
"""Scores the model with these activations in place of its own."""


def contribution_in_language_model(
    config: LanguageContributionConfig,
    dictionaries: Dictionaries,
    activations: TextActivations,
    camps: Camps,
) -> Contributions:
    """Measure explained variance and cross-entropy without groups of latents, on held-out text.

    Raises:
        UserError: the model is not available, or has no such hook point.
    """
    # The model's library takes seconds to import, and addition does not need it.
    from audit.evaluation.intervention import DownstreamModel
    from audit.evaluation.recovery import NextTokenLoss
    from audit.subjects.language_model.checkpoint import open_model

    draw = np.random.default_rng(config.contribution.seed)
    count, length = activations["heldout_contexts"].shape
    chosen = np.sort(draw.choice(count, min(config.contexts, count), replace=False))
    tokens = tensor(activations["heldout_contexts"])[torch.from_numpy(chosen)].long()
    x = tensor(activations["heldout"]).view(count, length - 1, -1)[torch.from_numpy(chosen)]
    run = NextTokenLoss(
        DownstreamModel(open_model(config.model, config.allow_download), config.hook), tokens
    )

    def model_score(made: Float[ndarray, "m d"]) -> dict[str, float]:
        change = torch.from_numpy(made).view(x.shape) - x.double()
        return {"loss": run.with_change(change.float())}

    flat = x.flatten(0, 1)
    mean = np.tile(flat.double().mean(dim=0).numpy(), (len(flat), 1))
    found = _removal_tables(config.contribution, dictionaries, camps, flat, model_score)
    found |= {"loss_clean": run.clean(), "loss_mean": model_score(mean)["loss"]}
    return cast(Contributions, found)


def contribution_in_addition(
    config: AdditionContributionConfig,
    dictionaries: Dictionaries,
    activations: PairActivations,
    camps: Camps,
) -> Contributions:
    """Measure explained variance, accuracy and loss without groups of latents, on held-out pairs.

    `activations` are read after the last block.
    """
    from audit.subjects.modular_addition.config import subject_config
    from audit.subjects.modular_addition.model import answers
    from audit.subjects.modular_addition.scores import score
    from audit.subjects.modular_addition.weights import load_subject

    subject = config.subject
    model = load_subject(subject.subject, subject.subject_seed)
    recipe = subject_config(subject.subject, subject.subject_seed)
    x = tensor(activations["heldout"])
    labels = answers(tensor(activations["heldout_pairs"]), recipe.p)

    @torch.no_grad()
    def model_score(made: Float[ndarray, "m d"]) -> dict[str, float]:
        logits = model.unembed(model.ln_final(torch.from_numpy(made).float()[None]))[0]
        return score(logits, labels)._asdict()

    mean = np.tile(x.double().mean(dim=0).numpy(), (len(x), 1))
    ends = {"clean": model_score(x.double().numpy()), "mean": model_score(mean)}
    found = _removal_tables(config.contribution, dictionaries, camps, x, model_score)
    found |= {f"{name}_{end}": value for end, all_ in ends.items() for name, value in all_.items()}
    return cast(Contributions, found)


class Removal(NamedTuple):
    """Latents of one dictionary that are set to zero together."""

    latents: Int[ndarray, " removed"]
    rate: float
    """Mean firing rate of these latents; 0 if there are none."""


def removals(
    groups: Groups,
    seed: int,
    rate: Float[ndarray, " n"],
    caliper: float,
    draw: np.random.Generator,
) -> dict[str, Removal]:
    """Choose the latents of each removal, by its name.

    Args:
        groups: the two groups of every seed.
        seed: index of the dictionary.
        rate: share of samples on which each latent fires.
        caliper: largest difference of log rates within a pair.
        draw: draws from the larger group, and from all live latents.
    """
    stable, unstable = groups.stable[seed], groups.unstable[seed]
    few = min(len(stable), len(unstable))
    of_stable, of_unstable = (np.log10(np.maximum(rate[g], 1e-12)) for g in (stable, unstable))
    places = nearest_pairs(of_stable, of_unstable, caliper)
    chosen = {
        "nothing": np.empty(0, int),
        "stable": stable,
        "unstable": unstable,
        "random": draw.choice(np.flatnonzero(rate > 0), few, replace=False),
        "equal_stable": draw.choice(stable, few, replace=False),
        "equal_unstable": draw.choice(unstable, few, replace=False),
        "matched_stable": stable[places[0]],
        "matched_unstable": unstable[places[1]],
    }
    return {
        name: Removal(latents, float(rate[latents].mean()) if len(latents) else 0.0)
        for name, latents in chosen.items()
    }


def _removal_tables(
    config: ContributionConfig,
    dictionaries: Dictionaries,
    camps: Camps,
    x: Float[Tensor, "m d"],
    model_score: ModelScore,
) -> dict[str, Any]:
    """Score each removal in each dictionary.

    Returns:
        [S] under the name of each removal: `explained_variance` and the model's scores without the
        removed latents, their number `size` and mean firing `rate`. And the `kind` of the groups.
    """
    trained = saes(dictionaries, config.dictionary)
    chosen = positions_of(config.seeds, dictionaries["seeds"])
    groups = two_groups(camps["best"], camps["live"], config.groups)
    draw = np.random.default_rng([config.seed, 1])
    rows: dict[str, list[dict[str, float]]] = {}
    values = x.double().numpy()
    about_mean = np.square(values - values.mean(axis=0)).sum()
    for done, s in enumerate(chosen):
        sae, codes = trained[s], sparse_columns(trained[s], x)
        rate = camps["firing_rate"][s]
        for name, removal in removals(groups, s, rate, config.caliper, draw).items():
            made = reconstruct_without(sae, codes, removal.latents)
            rows.setdefault(name, []).append(
                {
                    "explained_variance": 1 - np.square(values - made).sum() / about_mean,
                    **model_score(made),
                    "size": len(removal.latents),
                    "rate": removal.rate,
                }
            )
        report(done + 1, len(chosen))
    return {
        **{
            name: {what: np.array([row[what] for row in each], float) for what in each[0]}
            for name, each in rows.items()
        },
        "kind": groups.kind,
    }
