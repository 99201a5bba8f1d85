"""What stable and unstable latents carry: each group is set to zero within the reconstruction.

Stable latents are more, or fewer, than unstable ones, and they fire more often. So three questions
are asked: what a whole group carries; what equally many of both carry; and what pairs carry, one
stable and one unstable latent each, that fire equally often.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from audit.evaluation.groups.codes import codes_of_all, without
from audit.evaluation.groups.config import LanguageWorthConfig, SubjectWorthConfig, WorthConfig
from audit.training.stages import saes, tensor
from seedstability.progress import report
from seedstability.stability.groups import Groups, two_groups
from seedstability.stability.statistics.pairing import nearest_pairs

WHOLE = ("stable", "unstable", "random")
"""Each camp, and as many live latents, whoever they are, as `equal` has."""
CONTROLLED = ("equal", "matched")
Judge = Callable[[Float[ndarray, "m d"]], dict[str, float]]
"""What the model does with these in place of its activations."""


def in_language(
    config: LanguageWorthConfig, dictionaries: Mapping, activations: Mapping, camps: Mapping
) -> dict[str, Any]:
    """Explained variance and cross-entropy without groups of latents, on held-out text.

    Args:
        config: model, hook, groups.
        dictionaries: as `training.stages:train` returns them.
        activations: `heldout` [c · (length − 1), d] and `heldout_contexts` [c, length].
        camps: as `analyses.unstable.camps:camps` returns it.

    Returns:
        As `_tables`, with `explained_variance` and `loss`, in nats a token. `loss_clean` of the
        model left alone, `loss_mean` with the mean activation in place of all.

    Raises:
        UserError: the model cannot be had, or has no such hook point.
    """
    # The model's library takes seconds to import, and addition needs none of it.
    from audit.evaluation.intervention import Rest
    from audit.evaluation.recovery import NextToken
    from audit.subjects.language_model.checkpoint import open_model

    draw = np.random.default_rng(config.worth.seed)
    count, length = activations["heldout_contexts"].shape
    some = np.sort(draw.choice(count, min(config.contexts, count), replace=False))
    tokens = tensor(activations["heldout_contexts"])[torch.from_numpy(some)].long()
    x = tensor(activations["heldout"]).view(count, length - 1, -1)[torch.from_numpy(some)]
    run = NextToken(Rest(open_model(config.model, config.allow_download), config.hook), tokens)

    def judge(made: Float[ndarray, "m d"]) -> dict[str, float]:
        change = torch.from_numpy(made).view(x.shape) - x.double()
        return {"loss": run.with_change(change.float())}

    flat = x.flatten(0, 1)
    mean = np.tile(flat.double().mean(dim=0).numpy(), (len(flat), 1))
    return {
        **_tables(config.worth, dictionaries, camps, flat, judge),
        "loss_clean": run.clean(),
        "loss_mean": judge(mean)["loss"],
    }


def in_addition(
    config: SubjectWorthConfig, dictionaries: Mapping, activations: Mapping, camps: Mapping
) -> dict[str, Any]:
    """Explained variance, accuracy and loss without groups of latents, on held-out pairs.

    Args:
        config: subject, groups.
        dictionaries: as `training.stages:train` returns them.
        activations: `heldout` [m, d] after the last block, `heldout_pairs` [m, 2].
        camps: as `analyses.unstable.camps:camps` returns it.

    Returns:
        As `_tables`, with `explained_variance`, `loss` in nats and `accuracy`. The last two with
        `_clean`, of the subject left alone, and with `_mean`, with the mean activation.
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
    def judge(made: Float[ndarray, "m d"]) -> dict[str, float]:
        logits = model.unembed(model.ln_final(torch.from_numpy(made).float()[None]))[0]
        return score(logits, labels)._asdict()

    mean = np.tile(x.double().mean(dim=0).numpy(), (len(x), 1))
    ends = {"clean": judge(x.double().numpy()), "mean": judge(mean)}
    return {
        **_tables(config.worth, dictionaries, camps, x, judge),
        **{f"{name}_{end}": value for end, all_ in ends.items() for name, value in all_.items()},
    }


class Removal(NamedTuple):
    """Latents of one dictionary that are set to zero together."""

    latents: Int[ndarray, " some"]
    rate: float
    """Mean share of samples on which one of them fires; 0 of none."""


def removals(
    groups: Groups,
    seed: int,
    rate: Float[ndarray, " n"],
    caliper: float,
    draw: np.random.Generator,
) -> dict[str, Removal]:
    """Which latents are removed, by the name of the removal.

    Args:
        groups: the two groups of every seed.
        seed: place of the dictionary.
        rate: share of samples on which each latent fires.
        caliper: largest difference of log rates of a pair.
        draw: draws equally many of the larger group, and of all live latents.
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
        name: Removal(some, float(rate[some].mean()) if len(some) else 0.0)
        for name, some in chosen.items()
    }


def _tables(
    config: WorthConfig,
    dictionaries: Mapping,
    camps: Mapping,
    x: Float[Tensor, "m d"],
    judge: Judge,
) -> dict[str, Any]:
    """[S] for each removal, under its name: `explained_variance` and what the judge says, all of
    what is left, `size` and mean firing `rate` of what is removed. And the `kind` of the groups."""
    trained = saes(dictionaries, config.dictionary)[: config.first]
    groups = two_groups(camps["best"], camps["live"], config.groups)
    draw = np.random.default_rng([config.seed, 1])
    rows: dict[str, list[dict[str, float]]] = {}
    values = x.double().numpy()
    about_mean = np.square(values - values.mean(axis=0)).sum()
    for s, sae in enumerate(trained):
        codes = codes_of_all(sae, x)
        rate = camps["firing_rate"][s]
        for name, removal in removals(groups, s, rate, config.caliper, draw).items():
            made = without(sae, codes, removal.latents)
            rows.setdefault(name, []).append(
                {
                    "explained_variance": 1 - np.square(values - made).sum() / about_mean,
                    **judge(made),
                    "size": len(removal.latents),
                    "rate": removal.rate,
                }
            )
        report(s + 1, len(trained))
    return {
        **{
            name: {what: np.array([row[what] for row in each], float) for what in each[0]}
            for name, each in rows.items()
        },
        "kind": groups.kind,
    }
