"""Stages: rules for latents of all seeds with detection scores, and alignment of partners."""

from typing import Literal, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from audit.evaluation.explanation.config import AlignmentConfig, ExplanationConfig
from audit.evaluation.explanation.heldout_text import (
    HeldoutText,
    LatentWindows,
    firings,
    sample_at_most,
    scorability,
)
from audit.evaluation.explanation.planted import planted
from audit.evaluation.explanation.tokens import texts_of
from audit.subjects.language_model.results import TextActivations
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.chance.null_models import data_directions
from seedstability.stability.matching.match import match
from seedstability.stability.pairs import all_pairs

_STRATA = 10


class Controls(TypedDict):
    """Scores of planted latents, which fire on a known token or pair of tokens."""

    tokens: Float[ndarray, " controls"]
    pairs: Float[ndarray, " controls"]


class Explained(TypedDict):
    """Rules of the drawn latents of S dictionaries, and their detection scores.

    Tables are padded with NaN, or with −1 if they hold integers.
    """

    latent: Int[ndarray, "S latents"]
    rate: Float[ndarray, "S latents"]
    """Share of tokens on which the latent fires."""
    predicates: Int[ndarray, "S latents"]
    """Number of predicates in its rule."""
    score: Float[ndarray, "S latents"]
    random: Float[ndarray, "S latents"]
    """Of a direction with the data's covariance and the same firing rate; NaN if it fires in too
    few windows."""
    swapped: Float[ndarray, "S latents"]
    """Of another latent's rule."""
    strong: Float[ndarray, "S latents"]
    """On the strongest active windows instead of random ones."""
    strong_random: Float[ndarray, "S latents"]
    live: Int[ndarray, " S"]
    """Number of live latents."""
    rare: Int[ndarray, " S"]
    """Number of those that fire too rarely to be scored."""
    common: Int[ndarray, " S"]
    """Number of those that fire too often."""
    control: Controls
    rules: dict[str, str]
    """Texts of the rules, one a line, for each `seed0` …."""


class AlignedPartners(TypedDict):
    """Alignment of the latents of S dictionaries with their partners."""

    alignment: Float[ndarray, "S S n"]
    """Of latent i of seed s: the mean of decoder and encoder cosine with its partner in seed t by
    the assignment of decoders; NaN where s = t."""


class _ExplainedSeed(TypedDict):
    latent: ndarray
    rate: ndarray
    predicates: list[int]
    score: list[float]
    random: ndarray
    swapped: list[float]
    strong: list[float]
    strong_random: ndarray
    live: int
    rare: int
    common: int
    rules: list[str]


_Table = Literal[
    "latent", "rate", "predicates", "score", "random", "swapped", "strong", "strong_random"
]


def explain(
    config: ExplanationConfig,
    dictionaries: Dictionaries,
    activations: TextActivations,
) -> Explained:
    """Learn a rule for latents of each dictionary, and compute detection scores and chance.

    Raises:
        UserError: the contexts cannot be cut into windows, or no latent can be scored.
    """
    from audit.subjects.language_model.checkpoint import open_tokenizer  # takes seconds

    samples = HeldoutText.of(config, activations, texts_of(open_tokenizer(config.model)))
    trained = saes(dictionaries, config.dictionary)
    found = []
    for seed, sae in enumerate(trained):
        found.append(_explained(sae, samples, config, seed))
        report(seed + 1, len(trained))

    def table(name: _Table) -> ndarray:
        return _table([each[name] for each in found], config.latents)

    return {
        "latent": table("latent"),
        "rate": table("rate"),
        "predicates": table("predicates"),
        "score": table("score"),
        "random": table("random"),
        "swapped": table("swapped"),
        "strong": table("strong"),
        "strong_random": table("strong_random"),
        "live": np.array([each["live"] for each in found]),
        "rare": np.array([each["rare"] for each in found]),
        "common": np.array([each["common"] for each in found]),
        "control": {
            "tokens": _of_planted(samples, config, pairs=False),
            "pairs": _of_planted(samples, config, pairs=True),
        },
        "rules": {f"seed{seed}": "\n".join(each["rules"]) for seed, each in enumerate(found)},
    }


def align(config: AlignmentConfig, dictionaries: Dictionaries) -> AlignedPartners:
    """Compute the alignment of each latent with its partners, as defined by 004."""
    decoders, encoders = tensor(dictionaries["decoder"]), tensor(dictionaries["encoder"])
    n_seeds, n, _ = decoders.shape
    alignment = np.full((n_seeds, n_seeds, n), np.nan, np.float32)
    pairs = all_pairs(n_seeds)
    for done, (s, t) in enumerate(pairs):
        matching = match(decoders[s], decoders[t], certify=False)
        encoder = torch.cosine_similarity(encoders[s], encoders[t][matching.partner])
        mean = (0.5 * (matching.cosine + encoder)).numpy()
        alignment[s, t], alignment[t, s, matching.partner.numpy()] = mean, mean
        report(done + 1, len(pairs))
    return {"alignment": alignment}


def _explained(
    sae: SAE, samples: HeldoutText, config: ExplanationConfig, seed: int
) -> _ExplainedSeed:
    """Explain and score latents of one dictionary."""
    fires = firings(sae, samples.x)
    activities = [samples.activity(*fires.of(latent)) for latent in range(len(sae.decoder))]
    fits = np.array([scorability(each, samples, config) for each in activities])
    rate = fires.counts / len(samples.x)
    generator = np.random.default_rng([config.seed, seed])
    drawn = _stratified(rate, np.flatnonzero(fits == 0), config.latents, generator)
    chosen_windows = [
        LatentWindows(activities[latent], samples, config, generator) for latent in drawn
    ]
    rules = [each.rule() for each in chosen_windows]
    both = list(zip(chosen_windows, rules, strict=True))
    others = [*rules[1:], rules[0]]
    random, strong_random = _random_directions(samples, fires.counts[drawn], config, generator)
    return {
        "latent": drawn,
        "rate": rate[drawn],
        "score": [each.score(rule) for each, rule in both],
        "strong": [each.score_strong(rule) for each, rule in both],
        "random": random,
        "strong_random": strong_random,
        "swapped": [each.score(other) for each, other in zip(chosen_windows, others, strict=True)],
        "predicates": [rule.length for rule in rules],
        "rules": [str(rule) for rule in rules],
        "live": (fires.counts > 0).sum(),
        "rare": ((fits < 0) & (fires.counts > 0)).sum(),
        "common": (fits > 0).sum(),
    }


def _stratified(
    rate: Float[ndarray, " n"],
    candidates: Int[ndarray, " candidates"],
    most: int,
    generator: np.random.Generator,
) -> Int[ndarray, " drawn"]:
    """Draw equally many candidates from each decile of firing rate, in random order."""
    if not len(candidates):
        raise UserError(
            "no latent fires in enough windows to be scored; give more contexts or lower `scored`"
        )
    ordered = candidates[np.argsort(rate[candidates], kind="stable")]
    share = -(-most // _STRATA)
    strata = np.array_split(ordered, _STRATA)
    drawn = np.concatenate([sample_at_most(stratum, share, generator) for stratum in strata])
    return generator.permutation(drawn)[:most]


def _random_directions(
    samples: HeldoutText,
    counts: Int[ndarray, " drawn"],
    config: ExplanationConfig,
    generator: np.random.Generator,
) -> Float[ndarray, "2 drawn"]:
    """Score random directions with the latents' firing rates, on random and strongest windows."""
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    directions = data_directions(len(counts), torch.cov(samples.x.T), draws)
    along = samples.x @ directions.to(samples.x.dtype).T
    scores = np.full((2, len(counts)), np.nan)
    for place, count in enumerate(counts):
        column = along[:, place].numpy()
        rows = np.sort(np.argpartition(-column, count - 1)[:count])
        active = samples.activity(rows, column[rows])
        if scorability(active, samples, config) == 0:
            chosen = LatentWindows(active, samples, config, generator)
            rule = chosen.rule()
            scores[:, place] = chosen.score(rule), chosen.score_strong(rule)
    return scores


def _of_planted(samples: HeldoutText, config: ExplanationConfig, pairs: bool) -> ndarray:
    """Score planted latents."""
    generator = np.random.default_rng([config.seed, 2**31 + pairs])
    scores: list[float] = []
    for active in planted(samples.windows.tokens, pairs):
        if scorability(active, samples, config) == 0:
            chosen = LatentWindows(active, samples, config, generator)
            scores.append(chosen.score(chosen.rule()))
        if len(scores) == config.controls:
            break
    return np.array(scores)


def _table(rows: list, width: int) -> ndarray:
    """Stack rows of different length, padded with NaN, or with −1 if they are integers."""
    whole = np.asarray(rows[0]).dtype.kind == "i"
    table = np.full((len(rows), width), -1 if whole else np.nan, np.int64 if whole else np.float64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
