"""Values of section "A language model": the model, its text, and the grid in profile `full`."""

from collections.abc import Mapping
from typing import Any

from audit.experiments.common.summary import quality, similarities
from audit.pipeline.results import Scalar

_NAMED = ("max_cosine", "matched_mean", "matched_median")


def subject(config, text: Mapping, statistics: Mapping) -> dict:
    """Size of the corpus, and losses of the small model beside those of n-gram models."""
    tree: dict = {
        "parameters": Scalar(statistics["parameters"] / 1e6, 2),
        "blocks": statistics["blocks"],
        "training_tokens": Scalar(statistics["training_tokens"] / 1e6, 1),
        "length": int(text["train"]["prose"].shape[1]),
        "packages": ", ".join(config.packages),
        "vocabulary": config.n_tokens,
        "heldout_share": Scalar(100 * config.heldout_share, 0, "%"),
        "duplicate_share": Scalar(100 * config.duplicate_share, 0, "%"),
        "shingle_words": config.shingle_words,
    }
    for split in ("train", "heldout"):
        tree[split] = {"files": int(text["files"][split])} | {
            domain: {
                "tokens": Scalar(contexts[:, 1:].size / 1e6, 2),
                "characters": Scalar(text["characters"][split][domain] / 1e6, 2),
            }
            for domain, contexts in text[split].items()
        }
    tree["loss"] = {domain: _losses(statistics[domain]) for domain in ("code", "prose")}
    return tree


def _losses(found: Mapping) -> dict:
    # The model and the n-gram counts are files; another processor changes only the last digits.
    ngrams = {f"ngram{order}": float(loss) for order, loss in found["ngram"].items()}
    best = min(ngrams.values())
    return {name: Scalar(loss, 3) for name, loss in ngrams.items()} | {
        "model": Scalar(float(found["model"]), 3),
        "gain": Scalar(best - float(found["model"]), 3),
    }


def grid(config, **inputs: Any) -> dict:
    """Similarities with chance levels, and reconstruction metrics, at each point of the grid."""
    names = sorted({name.rpartition("__")[0] for name in inputs})
    return {
        name: similarities(inputs[f"{name}__comparison"], names=_NAMED)
        | quality(inputs[f"{name}__evaluation"])
        for name in names
    }
