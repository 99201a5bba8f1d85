"""The documentation says what is so: its examples run and print what stands beside them."""

import json
import re

import pytest

from helpers.doc_examples import check_printed, commands, notebook_cells, python_examples
from helpers.repository import ROOT
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


def test_the_notebook_runs_in_order_and_shows_the_findings(tmp_path, monkeypatch, capsys):
    cells = notebook_cells()
    monkeypatch.chdir(tmp_path)
    variables: dict = {"__name__": "__main__"}
    for place, cell in enumerate(cells):
        exec(compile(cell, f"cell {place}", "exec"), variables)
    printed = capsys.readouterr().out
    assert re.search(r"^best cosine 0\.\d\d, by chance 0\.\d\d$", printed, re.M)
    assert re.search(r"^\d+ of 192 latents recur in both other seeds$", printed, re.M)
    assert cells[2].splitlines()[-1] == "report"  # what a notebook shows
    assert "latents recur; " in variables["report"]._repr_html_()
    assert (tmp_path / "report" / "report.html").is_file()


def test_the_notebook_is_kept_without_outputs():
    cells = json.loads((ROOT / "docs" / "library.ipynb").read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
