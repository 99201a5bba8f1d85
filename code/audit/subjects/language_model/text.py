"""From a corpus to tokens: train/held-out split, tokenizer, and contexts of one length."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from audit.subjects.language_model.config import DOMAINS, CorpusConfig, Domain, Split
from audit.subjects.language_model.corpus import Corpus, Document
from audit.subjects.language_model.near_duplicates import draw_heldout, near_duplicate_groups
from seedstability.errors import UserError

SEPARATOR = "<|endoftext|>"
"""First token of each context; GPT-2's and Pythia's tokenizers have it too."""

Contexts = Int32[np.ndarray, "contexts length"]


@dataclass(frozen=True)
class Documents:
    """The documents of the corpus on both sides of the split."""

    train: tuple[Document, ...]
    """Training documents."""
    heldout: tuple[Document, ...]
    """Held-out documents: other files, without near-duplicates of the training files."""


class TokenizedText(NamedTuple):
    """Contexts by split and domain."""

    train: dict[Domain, Contexts]
    """Training contexts of models and dictionaries."""
    heldout: dict[Domain, Contexts]
    """Held-out contexts."""

    def of(self, split: Split, domains: Sequence[Domain] = DOMAINS) -> Contexts:
        """Concatenate the contexts of the given domains."""
        parts = self.train if split == "train" else self.heldout
        return np.concatenate([parts[domain] for domain in domains])


def split_documents(corpus: Corpus, config: CorpusConfig) -> Documents:
    """Split documents into training and held-out, keeping a file and its near-duplicates together.

    Both documents of a file are on the same side.
    """
    texts: dict[str, str] = defaultdict(str)
    documents = [each for each in corpus.documents() if len(each.text) <= config.longest_document]
    for document in documents:
        texts[document.file] += document.text + "\n"
    together = near_duplicate_groups(texts, config.shingle_words, config.duplicate_share)
    held = draw_heldout(together, config.heldout_share, config.split_seed)
    return Documents(
        tuple(document for document in documents if document.file not in held),
        tuple(document for document in documents if document.file in held),
    )


def train_tokenizer(texts: Iterable[str], n_tokens: int) -> Tokenizer:
    """Train a byte-level BPE (Sennrich et al., 1508.07909) on words split by GPT-2's pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenize(documents: Documents, tokenizer: Tokenizer, context: int) -> TokenizedText:
    """Cut all documents into contexts of `context` tokens."""
    return TokenizedText(
        *(
            {
                domain: _contexts(
                    [each.text for each in part if each.domain == domain], tokenizer, context
                )
                for domain in DOMAINS
            }
            for part in (documents.train, documents.heldout)
        )
    )


def _contexts(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> Contexts:
    """Join documents with separators, cut them into pieces of `length` − 1 tokens, and put a
    separator before each piece; an incomplete last piece is dropped."""
    separator, stream = separator_of(tokenizer), list[int]()
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        stream += [*encoding.ids, separator]
    pieces = len(stream) // (length - 1)
    body = np.array(stream[: pieces * (length - 1)], np.int32).reshape(pieces, length - 1)
    return np.pad(body, ((0, 0), (1, 0)), constant_values=separator)


def separator_of(tokenizer: Tokenizer) -> int:
    """Return the number of the separator token, the first token of each context.

    Raises:
        UserError: the tokenizer has no separator.
    """
    found = tokenizer.token_to_id(SEPARATOR)
    if found is None:
        raise UserError(f"the tokenizer has no {SEPARATOR}, with which every context begins")
    return found
