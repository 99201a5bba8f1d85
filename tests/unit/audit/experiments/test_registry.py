"""Experiments declare themselves: nothing central names one."""

import sys
from pathlib import Path

import pytest

from audit.experiments.registry import (
    COMMANDS,
    EXPERIMENTS,
    FIGURES,
    PROFILES,
    command,
    declared,
    parts,
    printed,
)
from audit.manuscript import tables
from audit.pipeline.graph.keys import current_sources, portable_keys
from audit.pipeline.results import leaves
from helpers.repository import CODE, ROOT

NEW = """
from dataclasses import dataclass, replace
from audit.experiments.common.declaration import Experiment, Figure
from audit.pipeline.graph.stage import Stage

@dataclass(frozen=True)
class Settings:
    draws: int = 10

def parts(settings):
    return {"mean": Stage("coins/mean", "coins.measurements:mean", settings)}

paper = Settings()
EXPERIMENT = Experiment(
    {"paper": paper, "smoke": replace(paper, draws=2), "full": paper},
    parts,
    lambda settings: {"draws": settings.draws},
    figures=(Figure("coins", "coins.mean", "coins"),),
)
"""


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    (tmp_path / "sections_of_ours" / "coins").mkdir(parents=True)
    (tmp_path / "sections_of_ours" / "common").mkdir()
    (tmp_path / "sections_of_ours" / "coins" / "experiment.py").write_text(NEW)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "sections_of_ours"
    for name in [name for name in sys.modules if name.startswith("sections_of_ours")]:
        del sys.modules[name]


def test_a_folder_with_an_experiment_is_found(package):
    found = declared(package, "sections_of_ours")
    assert list(found) == ["coins"]
    coins = found["coins"]
    assert coins.parts(coins.profiles["smoke"])["mean"].config.draws == 2
    assert coins.figures[0].plots_module == "audit.plots.coins"


def test_every_experiment_is_tested_small_and_printed_once():
    for name, each in EXPERIMENTS.items():
        assert set(each.profiles) <= set(PROFILES), name
        assert "smoke" in each.profiles, name
        assert ("paper" in each.profiles) != ("long" in each.profiles), name


def test_every_figure_and_table_of_the_paper_is_declared_once():
    names = [figure.name for figure in FIGURES]
    assert len(names) == len(set(names))
    declared_tables = [table for each in EXPERIMENTS.values() for table in each.tables]
    templates = {path.name.removesuffix(tables.SUFFIX) for path in tables.templates(ROOT / "paper")}
    assert sorted([*declared_tables, *tables.COMMANDS]) == sorted(templates)
    assert COMMANDS.keys() == {*names, *declared_tables}


def test_the_supplement_includes_a_section_for_every_experiment():
    text = (ROOT / "paper" / "supplement.tex").read_text("utf-8")
    missing = [
        name
        for name in (*parts("paper"), *parts("long"))
        if rf"\input{{sections/{name}}}" not in text
    ]
    assert not missing


def test_every_module_of_plots_draws_a_declared_figure():
    drawing = {
        ".".join(path.relative_to(CODE / "audit" / "plots").with_suffix("").parts)
        for path in (CODE / "audit" / "plots").glob("*/*.py")
        if "def draw(" in path.read_text("utf-8")
    }
    assert {figure.module for figure in FIGURES} == drawing


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_settings_that_the_text_prints_need_no_stage(experiment):
    for profile, settings in EXPERIMENTS[experiment].profiles.items():
        tree = printed(profile, experiment)
        assert not EXPERIMENTS[experiment].printed or dict(leaves(tree)), profile
        assert "settings" not in EXPERIMENTS[experiment].parts(settings)


def test_the_command_that_runs_an_experiment_names_the_profile_that_prints_it():
    assert command("chance") == "invoke experiments --only chance"
    assert COMMANDS["public_amounts"] == "invoke experiments --profile long --only public"


def test_an_experiment_prints_nothing_in_a_profile_that_it_has_not():
    assert printed("paper", "public") == printed("long", "chance") == {}


def test_no_stages_key_depends_on_what_is_declared_or_drawn():
    """An edit of a figure, a table or a printed setting runs nothing again."""
    sources = current_sources()
    for profile in PROFILES:
        ends = [stage for part in parts(profile).values() for stage in part.values()]
        for name, key in portable_keys(ends, sources).items():
            assert not list(filter(is_of_a_declaration, key.definitions)), name


def is_of_a_declaration(definition: str) -> bool:
    file, _, name = definition.partition(":")
    if file.endswith("/experiment.py"):
        return name in ("EXPERIMENT", "parts", "printed")
    drawn = file.startswith(("audit/plots/", "audit/manuscript/"))
    return drawn or file.endswith("/declaration.py")
