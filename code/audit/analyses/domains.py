"""Stage: dictionaries trained on two domains of text, compared with each other.

It measures whether latents of one domain recur in the other, and whether these are the latents that
recur within their domain.
"""

import numpy as np
import torch
from torch import Generator, Tensor

from seedstability.progress import report
from seedstability.similarity.config import ComparisonConfig
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.matching.match import agreement, match
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.pairs import all_pairs

SIDES = ("first", "second")


def compare_domains(
    config: ComparisonConfig,
    first: dict,
    second: dict,
    first_activations: dict,
    second_activations: dict,
) -> dict:
    """Compare all dictionaries of one domain with those of the other, and within each domain.

    Args:
        config: threshold and seed of the scrambles.
        first, second: `decoder`, `encoder` [S, n, d] of either domain, with the same seeds.
        first_activations, second_activations: `train` [samples, d]; the chance level keeps the
            second moments of both combined.

    Returns:
        [S, S] over seeds of the first and of the second, `matched_mean`, `max_cosine`, `agreeing`,
        `shared` and `shared_decoder_only`; the same under `gauge`. And under `first` and `second`,
        the best signed cosine of each latent with each dictionary [S, S, n]: `within` its own
        domain (NaN with itself), `across` in the other, and `gauge`, in the other after a scramble.
    """
    generator = Generator().manual_seed(config.seed)
    sides = [
        [torch.from_numpy(side[part]) for part in ("decoder", "encoder")]
        for side in (first, second)
    ]
    samples = [each["train"] for each in (first_activations, second_activations)]
    fewest = min(len(each) for each in samples)
    both = torch.from_numpy(np.concatenate([each[:fewest] for each in samples]))
    basis = GaugeBasis.from_activations(both)
    n_seeds, n, _ = first["decoder"].shape
    tables: dict[str, dict[str, np.ndarray]] = {"across": {}, "gauge": {}}
    best = {side: {kind: _blank(n_seeds, n) for kind in tables} for side in SIDES}
    for s in range(n_seeds):
        for t in range(n_seeds):
            ours, theirs = [part[s] for part in sides[0]], [part[t] for part in sides[1]]
            scrambled = gauge_scramble(torch.cat(theirs), basis, generator).split(n)
            for kind, others in (("across", theirs), ("gauge", list(scrambled))):
                for name, value in _pair(ours, others, config.threshold).items():
                    table = tables[kind].setdefault(name, np.full((n_seeds, n_seeds), np.nan))
                    table[s, t] = value
                rows, columns, *_ = best_cosines(ours[0], others[0])
                best["first"][kind][s, t] = rows.numpy()
                best["second"][kind][t, s] = columns.numpy()
        report(s + 1, n_seeds)
    return {
        **tables["across"],
        "gauge": tables["gauge"],
        **{
            side: best[side] | {"within": _within(parts[0])}
            for side, parts in zip(SIDES, sides, strict=True)
        },
    }


def _pair(ours: list[Tensor], others: list[Tensor], threshold: float) -> dict[str, float]:
    decoders, encoders = (
        match(one, other, certify=False) for one, other in zip(ours, others, strict=True)
    )
    verdicts = agreement(decoders, encoders, threshold)
    return {
        "matched_mean": decoders.cosine.double().mean().item(),
        "max_cosine": best_cosines(ours[0], others[0]).max_cosine,
        **{
            name: getattr(verdicts, name).double().mean().item()
            for name in ("shared", "shared_decoder_only", "agreeing")
        },
    }


def _within(decoders: Tensor) -> np.ndarray:
    n_seeds, n, _ = decoders.shape
    found = _blank(n_seeds, n)
    for s, t in all_pairs(n_seeds):
        rows, columns, *_ = best_cosines(decoders[s], decoders[t])
        found[s, t], found[t, s] = rows.numpy(), columns.numpy()
    return found


def _blank(n_seeds: int, n: int) -> np.ndarray:
    return np.full((n_seeds, n_seeds, n), np.nan, np.float32)
