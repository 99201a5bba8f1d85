"""The documentation says what is so: its examples run and print what stands beside them."""

import pytest

from helpers.doc_examples import check_printed, commands, python_examples
from seedstability.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the examples run one after the other: later ones read what earlier ones wrote."""
    return tmp_path_factory.mktemp("library")


def test_the_library_has_five_examples_that_say_what_they_print():
    examples = python_examples()
    assert len(examples) == 5
    assert [bool(example.printed) for example in examples] == [True, True, False, True, True]


@pytest.mark.parametrize("example", python_examples(), ids=lambda example: example.title)
def test_an_example_of_the_library_runs_and_prints_what_it_says(
    example, folder, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    exec(compile(example.code, example.title, "exec"), {"__name__": "__main__"})
    check_printed(example, capsys.readouterr().out)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_library_runs(words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(words) == 0
    assert capsys.readouterr().err == ""
