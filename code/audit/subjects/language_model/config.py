"""What the language models are, what they read and how ours is trained, as settings. No torch."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from audit.folders import DATA
from seedstability.errors import UserError

Domain = Literal["code", "prose"]
DOMAINS: tuple[Domain, ...] = get_args(Domain)
Split = Literal["train", "heldout"]

OURS = "small"
"""The name of the model that was trained here."""


class HubModel(NamedTuple):
    """A model of the Hugging Face hub."""

    repository: str
    """Owner and name."""
    revision: str
    """Full hash of the commit that is read, whatever came after it."""
    n_layers: int
    """Transformer blocks."""
    d_model: int
    """Width of the residual stream."""


HUB = {
    "gpt2": HubModel("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e", 12, 768),
    "pythia-160m": HubModel(
        "EleutherAI/pythia-160m", "50f5173d932e8e61f858120bcb800b97af589f46", 12, 768
    ),
}
"""The models of the third and the fifth report."""
FOLDER = DATA / "subjects" / "language_model"
"""Where its weights, tokenizer and recipe lie in a checkout and in the image."""


@dataclass(frozen=True)
class CorpusConfig:
    """Which text, and how it is cut."""

    packages: tuple[str, ...] = ("mpmath", "networkx", "sympy")
    """Pure-Python packages whose wheels the lock file pins by hash: their source is the text."""
    longest_document: int = 200_000
    """Characters above which a document is left out: a table, or documentation kept as data."""
    heldout_share: float = 0.1
    """Share of the files that are held out, each with its near-duplicates."""
    split_seed: int = 0
    """Draws which."""
    shingle_words: int = 8
    """Words in a row that two near-duplicates have to share often."""
    duplicate_share: float = 0.3
    """Files of which at least so many of the smaller one's shingles are in the other stay on one
    side of the split."""
    n_tokens: int = 4096
    """Tokens of the byte-level BPE, learnt from the training files."""
    context: int = 128
    """Tokens the model sees at once: the separator, then text."""


@dataclass(frozen=True)
class LanguageModelConfig:
    """The small model: shape and training. GPT-2's architecture, input and output tied."""

    corpus: CorpusConfig = CorpusConfig()
    """What it reads."""
    n_layers: int = 4
    """Transformer blocks."""
    d_model: int = 128
    """Width of the residual stream."""
    n_heads: int = 4
    """Attention heads of d_model / n_heads dimensions each."""
    seed: int = 0
    """Draws the initialisation and the order of the contexts."""
    batch_size: int = 16
    """Contexts in one step."""
    steps: int = 4000
    """Steps in all; passes over the contexts, each in a new order, follow one another."""
    learning_rate: float = 3e-3
    """AdamW's, at its highest, for all that Muon does not move."""
    muon_learning_rate: float = 2e-2
    """Muon's, at its highest, for the matrices within the blocks."""
    beta2: float = 0.98
    """AdamW's decay of the squared gradients; beta1 is 0.9."""
    weight_decay: float = 0.05
    """On the matrices."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from 0, linearly; it then falls to 0 along a half
    cosine."""
    clip_norm: float = 1.0
    """The gradient of a step is at most so long."""
    threads: int = 2
    """Cores it is trained on; the last bits depend on it."""


SMALL = LanguageModelConfig()
"""Tried before, 0.8 million tokens each, held-out loss on code and prose: AdamW alone 4.13 and
5.16, with Muon 3.72 and 4.81; batches of 32 instead of 16 contexts 3.99 and 5.04. Four thousand
steps are eight million tokens, one and a half times the training text."""


@dataclass(frozen=True)
class TextConfig:
    """The corpus as one model's tokens."""

    model: str
    """The model whose tokenizer cuts it: `small`, `gpt2`, `pythia-160m` or a folder."""
    tokenizer_sha256: str
    """Of the small model's tokenizer file; elsewhere what `weights_sha256` says."""
    corpus_sha256: str
    """Of the corpus that the small model was trained on, and no other is taken."""
    corpus: CorpusConfig = SMALL.corpus
    """Which text, and how it is split; of other models also how long a context is."""
    allow_download: bool = False
    """Whether the tokenizer may be fetched from the hub."""


@dataclass(frozen=True)
class ActivationsConfig:
    """Activations of one model at one hook point."""

    model: str
    """`small`, `gpt2`, `pythia-160m` or a folder."""
    weights_sha256: str
    """So that other weights mean another result; a revision for models of the hub."""
    hook: str = "blocks.2.hook_resid_pre"
    """TransformerLens' name of the hook point, such as `blocks.2.hook_mlp_out`."""
    tokens: int = 131_072
    """Training tokens, each position of a context but the first being one."""
    domains: tuple[Domain, ...] = DOMAINS
    """Where they come from: contexts are drawn evenly from all there are."""
    heldout_contexts: int = 400
    """Held-out contexts, drawn the same way."""
    seed: int = 0
    """Draws contexts and the order of tokens."""
    allow_download: bool = False
    """Whether a model may be fetched from the hub."""


@dataclass(frozen=True)
class StatisticsConfig:
    """How well the small model predicts, beside n-gram models."""

    weights_sha256: str
    """Of the model."""
    orders: tuple[int, ...] = (1, 5)
    """Tokens that an n-gram model looks at, the predicted one included."""


def read_recipe(folder: Path = FOLDER) -> dict[str, Any]:
    """What is recorded about the small model: settings, hashes, results, machine.

    Raises:
        UserError: it is missing, is no JSON, or records no hashes.
    """
    path = folder / "recipe.json"
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it from the repository"
        ) from None
    hashes = ("sha256", "tokenizer_sha256", "corpus_sha256")
    if not isinstance(recipe, dict) or not all(isinstance(recipe.get(h), str) for h in hashes):
        raise UserError(f"{path} records no hashes; restore it from the repository")
    return recipe


def weights_sha256(model: str) -> str:
    """What changes when a model's weights do: a hash, or the pinned revision of a hub model.

    Raises:
        UserError: the small model's recipe is missing or damaged, or there is no such model.
    """
    if model == OURS:
        return read_recipe()["sha256"]
    if model in HUB:
        return HUB[model].revision
    files = sorted(Path(model).glob("model*.safetensors"))
    if not files:
        known = ", ".join((OURS, *HUB))
        raise UserError(
            f"no model is called {model!r}, and no folder with model.safetensors; there are {known}"
        )
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def shape_of(model: str) -> tuple[int, int]:
    """Blocks and width of a model that has a name.

    Raises:
        UserError: there is no such model.
    """
    if model == OURS:
        return SMALL.n_layers, SMALL.d_model
    if model in HUB:
        return HUB[model].n_layers, HUB[model].d_model
    raise UserError(f"no model is called {model!r}; there are {', '.join((OURS, *HUB))}")


def text_config(model: str = OURS, allow_download: bool = False) -> TextConfig:
    """Settings of `stages.text`, with the hashes as they are recorded; errors as above."""
    recipe = read_recipe()
    tokenizer = recipe["tokenizer_sha256"] if model == OURS else weights_sha256(model)
    return TextConfig(model, tokenizer, recipe["corpus_sha256"], allow_download=allow_download)
