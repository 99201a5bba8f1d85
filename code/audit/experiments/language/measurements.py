"""Values of section "A language model": the model and its text."""

from audit.pipeline.results import Scalar
from audit.subjects.language_model.config import DOMAINS, CorpusConfig, Split
from audit.subjects.language_model.results import Losses, ModelStatistics, TextResult


def subject(config: CorpusConfig, text: TextResult, statistics: ModelStatistics) -> dict:
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
    splits: tuple[Split, ...] = ("train", "heldout")
    for split in splits:
        tree[split] = {"files": int(text["files"][split])} | {
            domain: {
                "tokens": Scalar(contexts[:, 1:].size / 1e6, 2),
                "characters": Scalar(text["characters"][split][domain] / 1e6, 2),
            }
            for domain, contexts in text[split].items()
        }
    tree["loss"] = {domain: _losses(statistics[domain]) for domain in DOMAINS}
    return tree


def _losses(found: Losses) -> dict:
    # The model and the n-gram counts are files; another processor changes only the last digits.
    ngrams = {f"ngram{order}": float(loss) for order, loss in found["ngram"].items()}
    best = min(ngrams.values())
    return {name: Scalar(loss, 3) for name, loss in ngrams.items()} | {
        "model": Scalar(float(found["model"]), 3),
        "gain": Scalar(best - float(found["model"]), 3),
    }
