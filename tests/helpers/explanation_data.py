"""Text of a small vocabulary, and a dictionary with one latent for each token."""

import numpy as np
import torch

from audit.evaluation.explanation.config import ExplanationConfig
from audit.evaluation.explanation.heldout_text import HeldoutText
from helpers.plain_rules import Example
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE

WORDS = [f"Ġ{word}" for word in ["the", "a", "of", "if", "for", "in", "not", "is", "and", "or"]]
VOCABULARY = [
    "<|endoftext|>",
    *WORDS,
    *"()[]=+.,:'",
    *"0123456789",
    "Ċ",
    "ĠĠĠĠ",
    "x",
    "self",
    "Foo",
]
LENGTH, CONTEXTS = 128, 64
ONE_TOKEN = DictionaryConfig(
    n_latents=len(VOCABULARY), k=1, bias_before_encoder=False, normalize_activations=False
)
CONFIG = ExplanationConfig(ONE_TOKEN, latents=8, shown=20, contrast=80, scored=20, controls=3)


class Tokenizer:
    """A tokenizer with this vocabulary."""

    def get_vocab(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(VOCABULARY)}


def contexts() -> np.ndarray:
    """[c, 128] tokens; later ones of the vocabulary are rarer."""
    n = len(VOCABULARY)
    share = 1 / np.arange(1, n) ** 1.4
    drawn = np.random.default_rng(0).choice(
        np.arange(1, n), size=(CONTEXTS, LENGTH), p=share / share.sum()
    )
    drawn[:, 0] = 0
    return drawn.astype(np.int32)


def activations() -> dict[str, np.ndarray]:
    """One coordinate for each token, with noise that keeps the covariance regular."""
    tokens = contexts()[:, 1:].reshape(-1)
    noise = np.random.default_rng(1).normal(0, 0.01, (len(tokens), len(VOCABULARY)))
    x = np.eye(len(VOCABULARY))[tokens] + noise
    return {"heldout": x.astype(np.float32), "heldout_contexts": contexts()}


def dictionaries(seeds: int = 2) -> dict[str, np.ndarray]:
    """The same dictionary for every seed, with latents in a different order."""
    n = len(VOCABULARY)
    rng = np.random.default_rng(2)
    rows = np.stack([np.eye(n, dtype=np.float32)[rng.permutation(n)] for _ in range(seeds)])
    zeros = np.zeros((seeds, n), np.float32)
    biases = dict.fromkeys(("encoder_bias", "decoder_bias", "threshold"), zeros)
    return {"encoder": rows, "decoder": rows.copy(), **biases}


def sae() -> SAE:
    """An SAE whose latent i fires on token i."""
    n = len(VOCABULARY)
    return SAE(
        torch.eye(n), torch.zeros(n), torch.eye(n), torch.zeros(n), torch.zeros(n), ONE_TOKEN
    )


def samples() -> HeldoutText:
    """The text and its activations."""
    from audit.evaluation.explanation.tokens import texts_of

    return HeldoutText.of(CONFIG, activations(), texts_of(Tokenizer()))


def example(*tokens: str, fires: tuple[int, ...] = (), first: int = 0) -> Example:
    """A window, with the places at which the latent fires."""
    strengths = tuple(1.0 if place in fires else 0.0 for place in range(len(tokens)))
    return Example(tokens, strengths, first)
