"""The command line as its users meet it: verbs that load nothing heavy, mistakes in one line."""

import json
import os
import shutil
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest

from helpers.command_line import invoke, run
from helpers.repository import ROOT
from seedstability.numerics.abi import graphics_card, numeric_abi


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a clone holds, without results."""
    ignored = shutil.ignore_patterns("build", ".venv", ".git", "__pycache__", ".*_cache", "wheels")
    return Path(shutil.copytree(ROOT, tmp_path / "checkout", ignore=ignored))


@pytest.fixture
def drawn_checkout(checkout):
    """The same with its figures, which are drawn once for all tests: that takes ten seconds."""
    assert invoke("figures", "--from-locked").returncode == 0
    shutil.copytree(ROOT / "build" / "paper" / "figures", checkout / "build" / "paper" / "figures")
    return checkout


def test_every_verb_explains_itself_and_its_flags():
    listed = invoke("--list").stdout
    for verb in ("paper", "experiments", "check", "status", "graph", "lock", "verify", "subjects"):
        assert verb in listed
    assert "DRAFT" in invoke("--help", "paper").stdout


@pytest.mark.parametrize(
    ("part", "passed"),
    [("tests/unit/seedstability/test_progress.py", 4), ("bar_is_drawn_only_on_a_terminal", 1)],
    ids=["file", "expression"],  # the expression in this test's own name would choose it again
)
def test_a_part_of_the_tests_runs_without_a_flag(part, passed):
    few = {"PYTEST_ADDOPTS": "-o testpaths=tests/unit/seedstability"}  # all take long to collect
    ran = invoke("test", part, "--jobs", "1", **few)
    assert f"{passed} passed" in ran.stdout, ran.stdout[-500:] + ran.stderr[-500:]


@pytest.mark.parametrize(
    "words", [("status", "--profile", "smoke"), ("verify",), ("paper", "--from-locked")]
)
def test_verbs_with_nothing_to_run_load_neither_torch_nor_transformer_lens(words):
    ran = invoke(*words, PYTHONPROFILEIMPORTTIME="1")
    assert ran.returncode == 0, ran.stderr[-500:]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "numpy" in loaded
    assert not loaded & {"torch", "transformer_lens", "transformers", "sklearn"}


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("status", "--profile", "papr"), "smoke, paper, long, full"),
        (("experiments", "--only", "modlar"), "activations, alignment, chance"),
        (("verify", "--claim", "C99"), "C49"),
        (("status", "--device", "tpu"), "it must be cpu or cuda"),
        pytest.param(
            ("status", "--device", "cuda"),
            "no NVIDIA card and driver are here; take cpu",
            marks=pytest.mark.skipif(bool(graphics_card()), reason="a card is here"),
        ),
        (("subjects", "--retrain", "--name", "clean_9"), "clean_0"),
        (("lock", "--profile", "full"), "invoke experiments"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_what_would_be_right(words, right):
    ran = invoke(*words)
    assert ran.returncode == 2
    assert right in ran.stderr
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("statsu",), "no task is called 'statsu'; did you mean status?"),
        (("verify", "graphs"), "no task is called 'graphs'; did you mean graph?"),
        (("xyz",), "no task is called 'xyz'; there are experiments, check, tables"),
        (("paper", "--jbos", "2"), "no flag is called '--jbos'; did you mean --jobs?"),
        (("--lsit",), "no flag is called '--lsit'; did you mean --list?"),
        (("verify", "--claim"), "--claim needs a value"),
        (("experiments", "--jobs", "-1"), "--jobs is -1; it must be at least 1"),
        (("verify", "--audit", "x"), "--audit is 'x'; it must be a whole number"),
        (("paper", "--jobs=two"), "--jobs is 'two'; it must be a whole number"),
        (("verify", "--audit", "2", "--seed", "x"), "--seed is 'x'; it must be a whole number"),
        (("verify", "--seed", "3"), "--audit is 0; it must be how many"),
    ],
)
def test_a_mistyped_task_or_flag_has_status_2_and_the_nearest_name(words, right):
    ran = invoke(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {right}")
    assert ran.stderr.count("\n") == 1


STOPPED = """
import sys
sys.path.insert(0, "code")
import audit.session
def session(*_):
    raise KeyboardInterrupt
audit.session.Session = session
from invoke.main import program
program.run(["invoke", *sys.argv[1:]])
"""


@pytest.mark.parametrize("verb", ["status", "paper", "verify"])
def test_ctrl_c_is_one_line_and_status_130(verb):
    ran = run([sys.executable, "-c", STOPPED, verb])
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "stopped\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_change_the_status(closed):
    words = ["sh", "-c", f'exec "$0" -m invoke graph {closed}', sys.executable]
    ran = run(words)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_checkout_may_lie_in_a_folder_whose_name_is_not_utf_8(drawn_checkout, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    drawn_checkout.rename(odd)
    for words in (("status", "--profile", "smoke"), ("paper", "--from-locked")):
        ran = invoke(*words, cwd=Path(odd))
        assert (ran.returncode, ran.stderr) == (0, "")


def test_flags_reach_the_tasks_that_a_task_needs(checkout):
    ran = invoke("check", "--profile", "papr", cwd=checkout)
    assert ran.returncode == 2
    assert "papr" in ran.stderr


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("data/locked/paper/chance.json", "chance.json:"),
        ("data/claims/000_consistency.toml", "000_consistency.toml"),
        ("data/reported/headlines.toml", "headlines.toml"),
        ("data/measured/matching.json", "data/measured/matching.json"),
        ("data/subjects/clean_0.json", "clean_0.json"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_written(checkout, file, named):
    path = checkout / file
    path.write_bytes(path.read_bytes()[:200])
    ran = invoke("verify", cwd=checkout)
    assert ran.returncode == 2
    assert named in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (checkout / "build").exists()


def test_without_tex_the_paper_says_what_to_install(drawn_checkout):
    ran = invoke("paper", "--from-locked", cwd=drawn_checkout, PATH="/nonexistent")
    assert ran.returncode == 2
    assert "apt-get install" in ran.stderr
    assert not list((drawn_checkout / "build").glob("*.pdf"))
    assert (drawn_checkout / "build" / "paper" / "tables" / "centre.tex").exists()


def test_verify_prints_json_for_programs():
    claims = json.loads(invoke("verify", "--json").stdout)["claims"]
    assert {"C01", "C02", "C05a", "C05b", "C22"} <= {claim["id"] for claim in claims}
    assert all(claim["verdict"] for claim in claims)


@pytest.mark.parametrize("typed", ["C02,c25", "c25 C02"])
def test_several_claims_are_judged_in_the_ledgers_order(typed):
    found = json.loads(invoke("verify", "--claim", typed, "--json").stdout)
    assert [claim["id"] for claim in found["claims"]] == ["C02", "C25"]


def test_a_claim_is_judged_anew_in_a_scratch_store_after_its_cost_is_stated():
    before = sorted((ROOT / "build" / "store").glob("*.safetensors"))
    ran = invoke("verify", "--claim", "C22", "--rerun")
    assert ran.returncode == 0, ran.stderr
    assert "C22: 1 stages, about" in ran.stderr
    assert "judged on this machine's values" in ran.stdout
    assert sorted((ROOT / "build" / "store").glob("*.safetensors")) == before


def test_nothing_is_locked_without_agreement(checkout):
    (checkout / "data" / "locked" / "smoke" / "chance.json").unlink()
    assert (
        invoke("experiments", "--only", "chance", "--profile", "smoke", cwd=checkout).returncode
        == 0
    )
    ran = invoke("lock", "--only", "chance", "--profile", "smoke", cwd=checkout)
    assert ran.returncode == 2
    assert "--accept" in ran.stderr
    assert not (checkout / "data" / "locked" / "smoke" / "chance.json").exists()


def test_a_value_that_left_its_tolerance_stops_the_paper_and_names_two_ways_on(checkout):
    locked = checkout / "data" / "locked" / "smoke" / "chance.json"
    text = locked.read_text(encoding="utf-8")
    assert '"chance.headline.r002_median.chance": {"value": 0.0' in text
    moved = text.replace(
        '"chance.headline.r002_median.chance": {"value": 0.0',
        '"chance.headline.r002_median.chance": {"value": 0.5',
    )
    locked.write_text(moved, encoding="utf-8")
    ran = invoke("check", "--only", "chance", "--profile", "smoke", cwd=checkout)
    assert ran.returncode == 1
    for said in ("r002_median.chance", "invoke lock", "--draft"):
        assert said in ran.stderr


def with_shifted_value(file: Path, address: str, shift: float) -> float:
    """Add to one locked value; returns what stands there then."""
    values = json.loads(file.read_text("utf-8"))
    values[address]["value"] += shift
    lines = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in values.items()]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    return values[address]["value"]


@pytest.mark.parametrize(
    ("share_of_tolerance", "machine", "is_kept", "is_recorded"),
    [
        (0.5, "this one", True, False),
        (3.0, "this one", False, False),
        (3.0, "another", True, True),
    ],
)
def test_moved_code_keeps_locked_values_that_it_confirms(
    checkout, share_of_tolerance, machine, is_kept, is_recorded
):
    folder = checkout / "data" / "locked" / "smoke"
    address = "chance.headline.r002_median.chance"
    tolerance = json.loads((folder / "chance.json").read_text("utf-8"))[address]["tolerance"]
    shifted = with_shifted_value(folder / "chance.json", address, share_of_tolerance * tolerance)
    runs = json.loads((folder / "provenance.json").read_text("utf-8"))
    here = asdict(numeric_abi())
    runs["chance"]["abi"] = here if machine == "this one" else {**here, "libc": "another"}
    (folder / "provenance.json").write_text(json.dumps(runs), "utf-8")
    smoke = ("--only", "chance", "--profile", "smoke")
    assert invoke("experiments", *smoke, cwd=checkout).returncode == 0
    ran = invoke("lock", *smoke, "--keep-values", "--accept", cwd=checkout)
    assert ran.returncode == 0, ran.stderr
    value = json.loads((folder / "chance.json").read_text("utf-8"))[address]["value"]
    run = json.loads((folder / "provenance.json").read_text("utf-8"))["chance"]
    assert (value == shifted) == is_kept
    assert (run["date"] == runs["chance"]["date"]) == is_kept
    assert ("confirmed" in run) == is_kept
    if is_kept:
        assert datetime.fromisoformat(run["confirmed"]["date"]) > datetime.fromisoformat(
            run["date"]
        )
        assert run["confirmed"]["abi"] == here
    recorded = (folder / "platform.json").read_text("utf-8") if is_recorded else ""
    assert (address in recorded) == is_recorded
    assert invoke("check", *smoke, cwd=checkout).returncode == 0
