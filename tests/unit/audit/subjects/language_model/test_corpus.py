"""The corpus: its split into domains, and its recorded hash."""

import pytest

from audit.subjects.language_model import corpus as corpora
from audit.subjects.language_model.config import CorpusConfig, read_recipe
from audit.subjects.language_model.corpus import SourceFile, read_corpus
from seedstability.errors import UserError

SOURCE = r'''"""What the module is."""
import os  # for later

URL = "http://x#y"  # a sign in a string
TEXT = """kept, # this too
in code"""


class Box:
    """A box."""

    def open(self):
        """Open it.

        Twice if need be.
        """
        return r'\\'  # done


async def wait():
    "Wait."
'''


@pytest.fixture
def split():
    return dict(zip(("code", "prose"), corpora.split_domains(SOURCE), strict=True))


def test_docstrings_are_prose_in_the_order_of_the_file(split):
    assert split["prose"] == (
        "What the module is.\n\nA box.\n\nOpen it.\n\nTwice if need be.\n\nWait."
    )


def test_code_keeps_neither_docstrings_nor_comments(split):
    for gone in ("What the module", "A box", "Twice", "Wait", "later", "in a string", "done"):
        assert gone not in split["code"]


def test_a_number_sign_in_a_string_does_not_start_a_comment(split):
    assert 'URL = "http://x#y"\n' in split["code"]
    assert 'TEXT = """kept, # this too\nin code"""' in split["code"]
    assert split["code"].count("return r'\\\\'") == 1


def test_a_string_that_is_not_a_docstring_stays_code():
    code, prose = corpora.split_domains('x = 1\n"""an afterthought"""\n')
    assert "an afterthought" in code
    assert prose == ""


def test_the_corpus_is_the_one_that_the_model_was_trained_on():
    found = read_corpus(CorpusConfig())
    assert found.sha256 == read_recipe()["corpus_sha256"]
    folders = {part for file in found.files for part in file.name.split("/")}
    assert not folders & {"tests", "testing", "benchmarks", "_antlr"}


def test_one_changed_letter_changes_the_hash(monkeypatch):
    files = {"one": [SourceFile("a.py", "x = 1")], "other": [SourceFile("a.py", "x = 2")]}
    monkeypatch.setattr(corpora, "_files", lambda package: files[package])
    one, other = (read_corpus(CorpusConfig(packages=(name,))).sha256 for name in files)
    assert one != other


def test_a_missing_package_is_named():
    with pytest.raises(UserError, match="no-such-wheel, which is part of the corpus, is not inst"):
        read_corpus(CorpusConfig(packages=("no-such-wheel",)))


def test_a_package_without_python_is_refused(monkeypatch):
    class Empty:
        files = ()

    monkeypatch.setattr(corpora, "_installed", lambda package: Empty)
    with pytest.raises(UserError, match="binaries has no Python files"):
        read_corpus(CorpusConfig(packages=("binaries",)))
