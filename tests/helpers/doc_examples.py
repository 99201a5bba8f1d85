"""The examples in docs: code to run, and what its comments say is printed."""

import json
import re
import shlex
from typing import NamedTuple

from helpers.repository import ROOT


class Example(NamedTuple):
    """One block of Python."""

    title: str
    code: str
    printed: list[tuple[int, str]]
    """Line printed, counted from zero, and what the comment says of it."""


def python_examples() -> list[Example]:
    return [_example(title, code) for title, code in _blocks("python")]


def commands() -> list[list[str]]:
    """Words of each command line, without the program."""
    [(_, code)] = _blocks("sh")
    lines = [shlex.split(line) for line in code.splitlines()]
    assert {words[0] for words in lines} == {"seedstability"}
    return [words[1:] for words in lines]


def notebook_cells() -> list[str]:
    """Code of each cell of docs/library.ipynb."""
    cells = json.loads((ROOT / "docs" / "library.ipynb").read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def check_printed(example: Example, output: str) -> None:
    lines = output.splitlines()
    for place, said in example.printed:
        assert lines[place] == said, example.title


def _blocks(language: str) -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "library.md").read_text("utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    return [
        (section.splitlines()[0], code)
        for section in sections
        for code in re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    ]


def _example(title: str, code: str) -> Example:
    printed, place = [], 0
    for line, following in zip(code.splitlines(), [*code.splitlines()[1:], ""], strict=True):
        if line.startswith("print("):
            comment = re.search(r"\)  # (.*)$", line) or re.match(r"# (.*)$", following)
            if comment:
                printed.append((place, comment[1]))
            place += 1
    return Example(title, code, printed)
