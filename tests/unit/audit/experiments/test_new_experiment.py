"""An experiment is added as new files alone: its folder, its plot and its template."""

import shutil
import sys

from audit.pipeline.locking.locked import read_values
from helpers.command_line import run
from helpers.repository import CODE, ROOT

NEW = {
    "code/audit/experiments/coins/__init__.py": '"""Coins."""\n',
    "code/audit/experiments/coins/experiment.py": '''
from dataclasses import dataclass, replace
from audit.experiments.common.declaration import Experiment, Figure
from audit.pipeline.graph.stage import Stage

@dataclass(frozen=True)
class CoinsSettings:
    throws: int = 1000
    """Throws of one coin."""
    heads: float = 0.5
    """How often it shows heads."""

def parts(settings):
    function = "audit.experiments.coins.measurements:throws"
    return {"throws": Stage("coins/throws", function, settings)}

paper = CoinsSettings()
EXPERIMENT = Experiment(
    {"paper": paper, "smoke": replace(paper, throws=100), "full": paper},
    parts,
    lambda settings: {"throws": settings.throws},
    figures=(Figure("coins", "coins.throws", "chance.coins"),),
    tables=("coins",),
)
''',
    "code/audit/experiments/coins/measurements.py": """
import numpy as np
from audit.pipeline.results import Array, Scalar

def throws(config):
    heads = np.arange(config.throws) < config.heads * config.throws
    return {"share": Scalar(heads.mean(), 2), "so_far": Array(heads.cumsum(), 0)}
""",
    "code/audit/plots/chance/coins.py": """
from seedstability.report.figures import style

@style.printed
def draw(data):
    figure = style.page_figure(height=0.4)
    figure.subplots().plot(data["so_far"])
    return figure
""",
    "paper/tables/coins.tex.j2": (
        '<< result("coins.settings.throws") >> throws & << result("coins.throws.share") >>\n'
    ),
}
AUTHOR = """
from pathlib import Path
from audit.experiments.registry import COMMANDS, FIGURES
from audit.manuscript import figures, tables
from audit.session import Session

session = Session(Path.cwd(), "smoke", only=["coins"])
session.run(jobs=1)
session.lock(lambda changes: True)
session = Session(Path.cwd(), "smoke", only=["coins"])
assert session.compare() is None
edition = session.edition(draft=False)
(figure,) = [each for each in FIGURES if each.name == "coins"]
figures.render(figure, edition.values, Path("drawn"), session.sources)
Path("coins.tex").write_text(tables.render(Path("paper/tables/coins.tex.j2"), edition))
Path("command").write_text(COMMANDS["coins"])
"""


def test_a_new_experiment_runs_is_locked_drawn_and_tabled(tmp_path):
    shutil.copytree(CODE, tmp_path / "code", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "paper" / "tables", tmp_path / "paper" / "tables")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "claims").symlink_to(ROOT / "data" / "claims")
    for name, text in NEW.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    made = run([sys.executable, "-c", AUTHOR], tmp_path, PYTHONPATH=str(tmp_path / "code"))
    assert made.returncode == 0, made.stderr
    locked = read_values(tmp_path / "data" / "locked" / "smoke")
    assert locked.scalar("coins.throws.share").value == 0.5
    assert locked.scalar("coins.settings.throws").value == 100
    assert (tmp_path / "drawn" / "coins.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "coins.tex").read_text() == "100 throws & 0.50\n"
    assert (tmp_path / "command").read_text() == "invoke experiments --only coins"
