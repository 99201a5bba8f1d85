"""Stage: firing rates, tokens and rules of stable and unstable latents on held-out text."""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from audit.evaluation.explanation.heldout_text import (
    Firings,
    HeldoutText,
    LatentWindows,
    firings,
    scorability,
)
from audit.evaluation.explanation.tokens import texts_of
from audit.evaluation.groups.config import ResponsesConfig
from audit.evaluation.groups.results import Camps, Responses
from audit.evaluation.groups.token_statistics import log_ranks, subsampled_entropy
from audit.subjects.arrays import columns
from audit.subjects.language_model.results import TextActivations, TextResult
from audit.training.results import Dictionaries, positions_of
from audit.training.stages import saes
from seedstability.progress import report
from seedstability.stability.chance.null_models import data_directions
from seedstability.stability.groups import two_groups
from seedstability.stability.statistics.pairing import nearest_pairs

MEASURES = ("token_rank", "entropy", "rule")


def responses(
    config: ResponsesConfig,
    dictionaries: Dictionaries,
    activations: TextActivations,
    camps: Camps,
    text: TextResult,
) -> Responses:
    """Measure firing rate, tokens, and the score of a rule, for each latent of both groups.

    Args:
        config: groups and settings of the measures.
        dictionaries: several seeds.
        activations: with held-out text.
        camps: which latents recur.
        text: token frequencies are those of its training part.
    """
    from audit.subjects.language_model.checkpoint import open_tokenizer  # takes seconds

    texts = texts_of(open_tokenizer(config.explanation.model))
    samples = HeldoutText.of(config.explanation, activations, texts)
    heldout = np.asarray(activations["heldout_contexts"])
    read = np.concatenate([np.asarray(part).ravel() for part in text["train"].values()])
    counts = np.bincount(read, minlength=len(texts))
    here = _Text(samples, heldout[:, 1:].ravel(), log_ranks(counts))
    trained = saes(dictionaries, config.explanation.dictionary)
    chosen = positions_of(config.seeds, dictionaries["seeds"])
    groups = two_groups(camps["best"], camps["live"], config.groups)
    found = []
    for done, s in enumerate(chosen.tolist()):
        both = (groups.unstable[s], groups.stable[s])
        found.append(_of_seed(firings(trained[s], samples.x), both, here, config, s))
        report(done + 1, len(chosen))
    return cast(Responses, {**columns(found, pad=True), "kind": groups.kind})


class _Text(NamedTuple):
    """Held-out text with the statistics of its tokens."""

    samples: HeldoutText
    """Activations and windows."""
    tokens: Int[ndarray, " m"]
    """The token of each sample."""
    rank: Float[ndarray, " vocabulary"]
    """log10 of each token's frequency rank."""


class _Active(NamedTuple):
    """Samples on which a latent or direction fires, and its values there."""

    rows: Int[ndarray, " f"]
    values: Float[ndarray, " f"]


def _of_seed(
    fires: Firings, both: tuple[ndarray, ...], text: _Text, config: ResponsesConfig, seed: int
) -> dict[str, Any]:
    """Measure one dictionary, unstable latents first."""
    draw = np.random.default_rng([config.seed, seed])
    # Another kernel finds the firings here: by rounding, the rarest latents may never fire.
    both = tuple(each[fires.counts[each] > 0] for each in both)
    latents = np.concatenate(both)
    stable = np.repeat([0.0, 1.0], [len(each) for each in both])
    counts = fires.counts[latents]
    log_rate = np.log10(counts / len(text.samples.x))
    with_rule = _draw_for_rules(stable, counts, config, draw)
    own = [_Active(*fires.of(latent)) for latent in latents]
    directions = _random_directions(text, counts, draw)
    measured = _measured(own, with_rule, text, config, draw)
    of_random = _measured(directions, with_rule, text, config, draw)
    return {
        "stable": stable,
        "pair": _pairs(log_rate, stable, config.caliper),
        "log_frequency": log_rate,
        **measured,
        "random": of_random,
        "rare": np.array([_rare(own, stable == kind, text, config) for kind in (0.0, 1.0)]),
    }


def _draw_for_rules(
    stable: ndarray, counts: ndarray, config: ResponsesConfig, draw: np.random.Generator
) -> Int[ndarray, " drawn"]:
    """Draw the latents for which a rule is learned, regardless of pairs."""
    often = counts >= 2 * config.explanation.scored
    return np.concatenate(
        [
            draw.permutation(np.flatnonzero(often & (stable == kind)))[: config.rules]
            for kind in (0.0, 1.0)
        ]
    )


def _measured(
    active: list[_Active],
    with_rule: Int[ndarray, " drawn"],
    text: _Text,
    config: ResponsesConfig,
    draw: np.random.Generator,
) -> dict[str, Float[ndarray, " latents"]]:
    tokens = [text.tokens[each.rows] for each in active]
    rule = np.full(len(active), np.nan)
    for place in with_rule:
        rule[place] = _rule_score(active[place], text.samples, config, draw)
    return {
        "token_rank": np.array([text.rank[each].mean() for each in tokens]),
        "entropy": np.array(
            [subsampled_entropy(each, config.firings, config.draws, draw) for each in tokens]
        ),
        "rule": rule,
    }


def _rule_score(
    active: _Active, samples: HeldoutText, config: ResponsesConfig, draw: np.random.Generator
) -> float:
    """Learn a rule and return its detection score; NaN if there are too few windows."""
    activity = samples.activity(*active)
    if scorability(activity, samples, config.explanation) != 0:
        return float("nan")
    windows = LatentWindows(activity, samples, config.explanation, draw)
    return windows.score(windows.rule())


def _random_directions(
    text: _Text, counts: Int[ndarray, " latents"], draw: np.random.Generator
) -> list[_Active]:
    """Draw directions with the data's covariance, each with a threshold for a given firing rate."""
    x = text.samples.x
    generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
    directions = data_directions(len(counts), torch.cov(x.T), generator)
    along = (directions.to(x.dtype) @ x.T).numpy()
    found = []
    for row, count in zip(along, counts, strict=True):
        rows = np.sort(np.argpartition(-row, count - 1)[:count])
        found.append(_Active(rows, row[rows]))
    return found


def _pairs(log_rate: ndarray, stable: ndarray, caliper: float) -> Float[ndarray, " latents"]:
    """Return the number of each latent's pair; −1 outside pairs."""
    unstable, kept = np.flatnonzero(stable == 0), np.flatnonzero(stable == 1)
    first, second = nearest_pairs(log_rate[unstable], log_rate[kept], caliper)
    pair = np.full(len(stable), -1.0)
    pair[unstable[first]] = pair[kept[second]] = np.arange(len(first))
    return pair


def _rare(active: list[_Active], inside: ndarray, text: _Text, config: ResponsesConfig) -> float:
    fits = [
        scorability(text.samples.activity(*active[i]), text.samples, config.explanation)
        for i in np.flatnonzero(inside)
    ]
    return float(np.mean([each < 0 for each in fits]))
