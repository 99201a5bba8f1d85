"""`explain` says what a value is, what made it, and every place that prints it."""

import re

import pytest

from audit.experiments.common.declaration import Figure
from audit.explanation import explain
from audit.manuscript.macros import Source, uses
from audit.manuscript.places import places
from audit.session import Session
from helpers.manuscript_values import edition
from helpers.repository import ROOT
from seedstability.errors import UserError

ADDRESS = "tokens.sizes.equal_tokens.second_less_first.live.matched_median.kappa"


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(ROOT, "paper")


def sections(text: str) -> dict[str, list[str]]:
    """Lines of each titled section."""
    found = re.findall(r"(?m)^([a-z ]+):\n((?:  .*\n?)+)", text)
    return {title: [line.strip() for line in lines.splitlines()] for title, lines in found}


def test_the_chain_from_the_value_to_its_stages_and_the_paper(session):
    told = explain(session, ADDRESS)
    found = sections(told)
    assert told.startswith(f"{ADDRESS} = ")
    locked = session.locked.scalar(ADDRESS)
    assert f"tolerance {locked.allowed_difference:g}" in " ".join(found["locked"])
    stage = session.parts["tokens"]["sizes"]
    assert found["measured by"][0].startswith(stage.function)
    assert {line.partition(":")[0] for line in found["from"]} >= {
        needed.name for needed in stage.needed.values()
    }
    source = Source("paper/sections/tokens.tex", (ROOT / "paper/sections/tokens.tex").read_text())
    in_text = [f"{use.place} \\{use.macro}" for use in uses(source) if use.address == ADDRESS]
    assert in_text
    assert set(found["printed"]) >= {*in_text, "table tokens_differences", "figure token_sizes"}
    assert any(line.startswith("C25 (") for line in found["judged in"])


def test_a_prefix_lists_what_is_below_it_and_a_wrong_address_names_near_ones(session):
    lines = explain(session, "tokens.sizes").splitlines()
    assert len(lines) == 41
    assert all(line.startswith(("tokens.sizes.", "… and ")) for line in lines)
    with pytest.raises(UserError, match=r"near: tokens\.sizes"):
        explain(session, "tokens.sises")


def test_every_way_in_which_a_value_can_be_printed_is_found(tmp_path):
    (tmp_path / "tables").mkdir()
    templates = {
        "by_address": '<< result("chance.size." ~ "samples") >>',
        "by_tree": '<< tree("chance.size").samples.value >>',
        "each": '<% for name, value in tree("chance.size").items() %><< name >><% endfor %>',
        "asks": '<% if known("chance.size.samples") %>yes<% endif %>',
        "another": '<< result("chance.size.similarity") >>',
    }
    for name, text in templates.items():
        (tmp_path / "tables" / f"{name}.tex.j2").write_text(text)
    text = (
        "\\result{chance.size.samples}\n\\result{chance.size.similarity}\n"
        "\\holds{chance.size.samples.low > 1}{Many.}\n% \\result{chance.size.samples}"
    )
    figures = (Figure("drawn", "chance.size", "x"), Figure("other", "chance.sizes", "x"))
    found = places("chance.size.samples", [Source("a.tex", text)], edition(), tmp_path, figures)
    assert found == [
        "a.tex:1 \\result",
        "a.tex:3 rests on it: Many.",
        "table by_address",
        "table by_tree",
        "table each",
        "figure drawn",
    ]
