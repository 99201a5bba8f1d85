"""From documents to contexts: train/held-out split, tokenizer, and layout of contexts."""

import random

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from audit.subjects.language_model.config import CorpusConfig
from audit.subjects.language_model.corpus import Corpus, SourceFile
from audit.subjects.language_model.near_duplicates import draw_heldout, near_duplicate_groups
from audit.subjects.language_model.text import (
    SEPARATOR,
    TokenizedText,
    separator_of,
    split_documents,
    tokenize,
    train_tokenizer,
)
from seedstability.errors import UserError


def words(seed: int, n: int = 60) -> str:
    drawn = random.Random(seed)
    return " ".join(f"w{drawn.randrange(10_000)}" for _ in range(n))


def file(name: str, seed: int, extra: str = "") -> SourceFile:
    return SourceFile(name, f'"""{words(seed)} {extra}"""\nx = "{words(seed + 1000)}"\n')


@pytest.fixture
def documents():
    files = [file(f"{i:02d}.py", i) for i in range(18)]
    copy = files[3]._replace(name="copy.py", content=files[3].content + "y = 1\n")
    long = SourceFile("table.py", "x = '" + "1 " * 200_000 + "'")
    return split_documents(Corpus([*files, copy, long], ""), CorpusConfig(heldout_share=0.3))


def test_both_documents_of_a_file_are_on_one_side_of_the_split(documents):
    train, heldout = ({each.file for each in part} for part in (documents.train, documents.heldout))
    assert not train & heldout
    assert len(train | heldout) == 19
    assert all(len([d for d in documents.train if d.file == name]) == 2 for name in train)


def test_near_duplicates_are_on_one_side_for_every_seed():
    files = [file(f"{i:02d}.py", i) for i in range(6)]
    twin = files[0]._replace(name="twin.py")
    for seed in range(12):
        config = CorpusConfig(heldout_share=0.4, split_seed=seed)
        split = split_documents(Corpus([*files, twin], ""), config)
        held = {each.file for each in split.heldout}
        assert held
        assert ("00.py" in held) == ("twin.py" in held)


def test_documents_that_are_too_long_are_excluded(documents):
    assert "table.py" not in {each.file for each in (*documents.train, *documents.heldout)}


def test_texts_are_grouped_by_containment():
    part = words(1, 40)
    texts = {"a": part, "b": f"{part} {words(2, 400)}", "c": f"{words(2, 400)} {words(3)}"}
    texts |= {"alone": words(4)}
    assert near_duplicate_groups(texts, 8, 0.3) == [("a", "b", "c"), ("alone",)]


def test_shingles_of_many_files_do_not_group_them():
    license_text = words(0, 30)
    texts = {str(i): f"{license_text} {words(i + 1, 20)}" for i in range(25)}
    assert len(near_duplicate_groups(texts, 8, 0.3)) == 25


def test_a_group_that_is_too_large_is_not_held_out():
    parts = [tuple(f"big{i}" for i in range(50)), *((str(i),) for i in range(50))]
    for seed in range(10):
        held = draw_heldout(parts, 0.1, seed)
        assert len(held) == 10
        assert "big0" not in held


def test_a_context_is_a_separator_and_then_text_without_gaps(documents):
    texts = [each.text for each in documents.train]
    tokenizer = train_tokenizer(texts, 400)
    text = tokenize(documents, tokenizer, 16)
    prose = text.train["prose"]
    assert prose.dtype == np.int32
    assert (prose[:, 0] == separator_of(tokenizer)).all()
    wanted = []
    for each in documents.train:
        if each.domain == "prose":
            wanted += [*tokenizer.encode(each.text).ids, separator_of(tokenizer)]
    assert prose[:, 1:].ravel().tolist() == wanted[: prose[:, 1:].size]
    assert len(wanted) - prose[:, 1:].size < 15


def test_tokens_decode_to_the_text():
    text = "def f(x):\n    return 'ä' # 𝔽\n\n"
    tokenizer = train_tokenizer([text * 3], 300)
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id(SEPARATOR) == 0


def test_domains_are_concatenated_in_order():
    one, other = np.zeros((2, 4), np.int32), np.ones((1, 4), np.int32)
    text = TokenizedText({"code": one, "prose": other}, {"code": other, "prose": one})
    assert text.of("train")[:, 0].tolist() == [0, 0, 1]
    assert text.of("heldout", ["prose"]).shape == (2, 4)


def test_a_tokenizer_without_separator_is_refused():
    with pytest.raises(UserError, match=r"has no <\|endoftext\|>, with which every context begins"):
        separator_of(Tokenizer(models.BPE()))
