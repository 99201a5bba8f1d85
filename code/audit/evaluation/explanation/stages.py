"""Explaining and scoring latents of all seeds, as stages."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from audit.evaluation.explanation.config import AlignmentConfig, ExplanationConfig
from audit.evaluation.explanation.heldout_text import Look, Samples, firings, fit, some
from audit.evaluation.explanation.planted import planted
from audit.evaluation.explanation.tokens import texts_of
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.chance.null_models import data_directions
from seedstability.stability.matching.match import match

_STRATA = 10
_TABLES = (
    *("latent", "rate", "predicates"),
    *("score", "random", "swapped"),
    *("strong", "strong_random"),
)
_COUNTS = ("live", "rare", "common")


def explain(
    config: ExplanationConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """A rule for each drawn latent of each dictionary, its detection score, and chance.

    Args:
        config: how to draw, to learn and to score.
        dictionaries: as `training.stages:train` returns them.
        activations: `heldout` [c·(length − 1), d], `heldout_contexts` [c, length], the tokens.

    Returns:
        [S, latents] tables, filled up with NaN, and with −1 where they hold whole numbers:
        `latent`; its firing `rate`; `score`; `random`, the score of a direction with the data's
        covariance that fires as often, NaN where it does so in too few windows; `swapped`, the
        score of another latent's rule; `strong` and `strong_random`, scores where the active
        windows are not any but the strongest; `predicates`, the rule's length. [S] numbers: latents
        that are `live`, and how many of these are too `rare` or too `common` to be scored. Under
        `control`, scores of planted `tokens` and `pairs`. Under `rules`, for each `seed0` …, the
        texts of the rules, one a line.

    Raises:
        UserError: for contexts that cannot be cut, or of which no latent can be scored.
    """
    from audit.subjects.language_model.checkpoint import open_tokenizer  # takes seconds

    samples = Samples.of(config, activations, texts_of(open_tokenizer(config.model)))
    trained = saes(dictionaries, config.dictionary)
    found = []
    for seed, sae in enumerate(trained):
        found.append(_explained(sae, samples, config, seed))
        report(seed + 1, len(trained))
    kinds = {"tokens": False, "pairs": True}
    return {
        **{name: _table([each[name] for each in found], config.latents) for name in _TABLES},
        **{name: np.array([each[name] for each in found]) for name in _COUNTS},
        "control": {kind: _of_planted(samples, config, pairs) for kind, pairs in kinds.items()},
        "rules": {f"seed{seed}": "\n".join(each["rules"]) for seed, each in enumerate(found)},
    }


def align(config: AlignmentConfig, dictionaries: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How alike each latent and its partners are, in 004's measure.

    Returns:
        `alignment` [S, S, n]: for latent i of seed s the mean of decoder and encoder cosine with
        the latent of seed t that the assignment of decoders gives it; NaN where s = t.
    """
    decoders, encoders = (tensor(dictionaries[part]) for part in ("decoder", "encoder"))
    n_seeds, n, _ = decoders.shape
    alignment = np.full((n_seeds, n_seeds, n), np.nan, np.float32)
    pairs = [(s, t) for s in range(n_seeds) for t in range(s + 1, n_seeds)]
    for done, (s, t) in enumerate(pairs):
        matching = match(decoders[s], decoders[t], certify=False)
        encoder = torch.cosine_similarity(encoders[s], encoders[t][matching.partner])
        mean = (0.5 * (matching.cosine + encoder)).numpy()
        alignment[s, t], alignment[t, s, matching.partner.numpy()] = mean, mean
        report(done + 1, len(pairs))
    return {"alignment": alignment}


def _explained(sae: SAE, samples: Samples, config: ExplanationConfig, seed: int) -> dict[str, Any]:
    """Everything about one dictionary."""
    fires = firings(sae, samples.x)
    activities = [samples.activity(*fires.of(latent)) for latent in range(len(sae.decoder))]
    fits = np.array([fit(each, samples, config) for each in activities])
    rate = fires.counts / len(samples.x)
    generator = np.random.default_rng([config.seed, seed])
    drawn = _stratified(rate, np.flatnonzero(fits == 0), config.latents, generator)
    looks = [Look(activities[latent], samples, config, generator) for latent in drawn]
    rules = [look.rule() for look in looks]
    both = list(zip(looks, rules, strict=True))
    others = [*rules[1:], rules[0]]
    random, strong_random = _random_directions(samples, fires.counts[drawn], config, generator)
    return {
        "latent": drawn,
        "rate": rate[drawn],
        "score": [look.score(rule) for look, rule in both],
        "strong": [look.score_strong(rule) for look, rule in both],
        "random": random,
        "strong_random": strong_random,
        "swapped": [look.score(other) for look, other in zip(looks, others, strict=True)],
        "predicates": [rule.length for rule in rules],
        "rules": [str(rule) for rule in rules],
        "live": (fires.counts > 0).sum(),
        "rare": ((fits < 0) & (fires.counts > 0)).sum(),
        "common": (fits > 0).sum(),
    }


def _stratified(
    rate: Float[ndarray, "n"],
    candidates: Int[ndarray, "candidates"],
    most: int,
    generator: np.random.Generator,
) -> Int[ndarray, "drawn"]:
    """As many from each tenth of the candidates by firing rate, in an order that says nothing."""
    if not len(candidates):
        raise UserError(
            "no latent fires in enough windows to be scored; give more contexts, or score fewer"
        )
    ordered = candidates[np.argsort(rate[candidates], kind="stable")]
    share = -(-most // _STRATA)
    strata = np.array_split(ordered, _STRATA)
    drawn = np.concatenate([some(stratum, share, generator) for stratum in strata])
    return generator.permutation(drawn)[:most]


def _random_directions(
    samples: Samples,
    counts: Int[ndarray, "drawn"],
    config: ExplanationConfig,
    generator: np.random.Generator,
) -> Float[ndarray, "2 drawn"]:
    """Scores, and on strongest windows, of random directions that fire as often as the latents."""
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    directions = data_directions(len(counts), torch.cov(samples.x.T), draws)
    along = samples.x @ directions.to(samples.x.dtype).T
    scores = np.full((2, len(counts)), np.nan)
    for place, count in enumerate(counts):
        column = along[:, place].numpy()
        rows = np.sort(np.argpartition(-column, count - 1)[:count])
        active = samples.activity(rows, column[rows])
        if fit(active, samples, config) == 0:
            look = Look(active, samples, config, generator)
            rule = look.rule()
            scores[:, place] = look.score(rule), look.score_strong(rule)
    return scores


def _of_planted(samples: Samples, config: ExplanationConfig, pairs: bool) -> ndarray:
    """Scores of latents that fire on a known token, or on a known token after a known one."""
    generator = np.random.default_rng([config.seed, 2**31 + pairs])
    scores: list[float] = []
    for active in planted(samples.windows.tokens, pairs):
        if fit(active, samples, config) == 0:
            look = Look(active, samples, config, generator)
            scores.append(look.score(look.rule()))
        if len(scores) == config.controls:
            break
    return np.array(scores)


def _table(rows: list, width: int) -> ndarray:
    """Rows of different length as one array, filled up with NaN, or with −1 if whole numbers."""
    whole = np.asarray(rows[0]).dtype.kind == "i"
    table = np.full((len(rows), width), -1 if whole else np.nan, np.int64 if whole else np.float64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
