"""Settings of the subjects: recipes, hashes, and errors for bad files."""

import json
import subprocess
import sys

import pytest

from audit.subjects.modular_addition.config import (
    activations_config,
    read_recipe,
    recorded_sha256,
    subject_config,
    subject_names,
)
from seedstability.errors import UserError


def test_settings_do_not_import_torch():
    program = (
        "import sys; from audit.subjects.modular_addition.config import activations_config as f;"
        "f('clean', 0, 1); f('leaky', 2, 0, 'answer'); f('untrained', 0, 1);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": "code"}).returncode == 0
    )


def test_other_weights_give_other_settings():
    hashes = {
        activations_config(subject, seed, 0).weights_sha256
        for subject in ("clean", "leaky")
        for seed in (0, 1, 2)
    }
    assert len(hashes) == 6
    assert activations_config("untrained", 0, 0).weights_sha256 == ""


def test_seeds_share_one_recipe():
    recipes = [read_recipe(name)["config"] for name in subject_names()]
    for subject in ("clean", "leaky"):
        same = [{**r, "seed": 0} for r in recipes if r["subject"] == subject]
        assert len(same) == 3
        assert same[0] == same[1] == same[2]


@pytest.mark.parametrize("name", subject_names())
def test_recorded_results_have_the_intended_accuracies(name):
    recipe = read_recipe(name)
    results = recipe["results"]
    assert results["heldout_accuracy"] == 1.0
    assert len(recipe["sha256"]) == 64
    assert recipe["numeric_abi"]
    if name.startswith("clean"):
        assert results["heldout_loss"] < 1e-2
    else:
        assert results["earlier_heldout_accuracy"] < 0.02


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        ("{", "cannot be read"),
        ("[]", "records no sha256"),
        (json.dumps({"sha256": 3}), "records no sha256"),
    ],
)
def test_a_bad_recipe_is_named_in_one_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "clean_0.json").write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        recorded_sha256("clean", 0, tmp_path)
    assert "clean_0.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_subject_is_named():
    with pytest.raises(UserError, match=r"'dirty'.*clean, leaky, untrained"):
        subject_config("dirty", 0)  # type: ignore[arg-type]
