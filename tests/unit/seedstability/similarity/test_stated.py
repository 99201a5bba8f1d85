"""Checkpoints that differ in more than the seed are not taken for seeds."""

import json
import re
from dataclasses import replace

import pytest

from helpers.comparison_data import normal, planted, sae, schema_errors
from helpers.dictionaries_checkpoints import BIAS, LINEAR_TENSORS, dictionary_learning, draw
from seedstability.dictionaries.formats.folder import save
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.report.page.rendering import render
from seedstability.similarity.dictionaries.labels import short_labels
from seedstability.similarity.dictionaries.reading import read_dictionaries
from seedstability.similarity.dictionaries.stated import (
    Difference,
    differences,
    in_words,
    seed_of,
    stated_in,
)

AE = {**LINEAR_TENSORS, "bias": BIAS}


def trainers(tmp_path, *changes: dict) -> list:
    """Checkpoints of several weights that say of themselves what `changes` says."""
    found = []
    for place, changed in enumerate(changes):
        tensors = {name: each + place * draw(*each.shape, seed=place) for name, each in AE.items()}
        found.append(dictionary_learning(tmp_path / f"checkpoint {place}", changed, tensors))
    return found


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"lr": 1e-3}, {"lr": 3e-4}, ["lr"]),
        ({"a": {"hook_name": "x.3"}}, {"a": {"hook_name": "x.8"}}, ["a.hook_name"]),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}, ["dtype"]),
        ({"dataset_path": "a"}, {"dataset_path": "b"}, ["dataset_path"]),
        ({"layers": [1, 2]}, {"layers": [1, 3]}, ["layers"]),
        ({"k": 1, "seed": 0}, {"k": 1, "seed": 1}, []),
        ({"wandb_name": "a", "run_name": "a"}, {"wandb_name": "b", "run_name": "b"}, []),
        ({"checkpoint_path": "a", "device": "cpu"}, {"checkpoint_path": "b", "device": "cuda"}, []),
        ({"metadata": {"sae_lens_version": "5"}}, {"metadata": {"sae_lens_version": "6"}}, []),
        ({"run": {"lr": 1e-3}}, {"run": {"lr": 3e-4}}, ["run.lr"]),
        ({"lr": 1e-3}, {}, []),
        ({"lr": None}, {"lr": 1e-3}, []),
    ],
)
def test_what_differs_besides_the_seed(tmp_path, one, other, found):
    for name, settings in (("one.json", one), ("other.json", other)):
        (tmp_path / name).write_text(json.dumps(settings))
    stated = [stated_in([tmp_path / name]) for name in ("one.json", "other.json")]
    assert [each.setting for each in differences(stated)] == found


def test_only_a_few_differences_are_named():
    found = [Difference(name, (1, 2)) for name in "abcdef"]
    assert in_words(found) == "a (1, 2), b (1, 2), c (1, 2), d (1, 2) and 2 more"


def test_the_seed_is_found_wherever_it_is_stated():
    assert seed_of({"trainer.lr": 1.0, "trainer.seed": 7}) == 7
    assert seed_of({"random_seeds": 3, "seed": "x"}) is None


def test_a_sweep_is_refused_and_names_what_differs(tmp_path):
    folders = trainers(tmp_path, {"lr": 1e-3, "seed": 0}, {"lr": 3e-4, "seed": 0})
    with pytest.raises(UserError, match=r"trainer\.lr \(0\.001, 0\.0003\); .*--allow-different"):
        read_dictionaries(folders)
    assert len(read_dictionaries(folders, allow_different=True)) == 2


def test_in_memory_and_across_formats_architecture_and_k_count(tmp_path):
    topk = sae(normal(8, 4, seed=0), k=2)
    with pytest.raises(UserError, match=r"k \(2, 3\)"):
        read_dictionaries([topk, sae(normal(8, 4, seed=1), k=3)])
    save(topk, tmp_path / "ours")
    relu = sae(normal(8, 4, seed=1))
    relu = replace(relu, config=replace(relu.config, architecture="relu"))
    save(relu, tmp_path / "theirs", "saelens")
    with pytest.raises(UserError, match=r'architecture \("topk", "relu"\)'):
        read_dictionaries([tmp_path / "ours", tmp_path / "theirs"])


def test_a_report_on_configurations_never_says_seeds(tmp_path):
    saes = [sae(each.decoder, k=k) for k, each in enumerate(planted(5, 16, 8, 4), 1)]
    report = compare(saes, allow_different=True)
    assert schema_errors(report.document) == []
    said = [*report.summary, *report.document["notes"]]
    assert any("configurations, not seeds" in line and "k (1, 2, 3, 4, 5)" in line for line in said)
    kept = json.dumps(report.document["measures"])
    assert "over 5 configurations" in kept
    assert "seeds" not in kept
    page = render(report.document, report.arrays)
    assert "What differs besides the seed" in page
    assert "5 TopK configurations of 16 latents" in page
    others = page.replace("configurations, not seeds", "").replace("nothing about seeds", "")
    assert not re.search(r"\bseeds\b", others)


def test_seeds_are_labels_where_names_do_not_tell_them(tmp_path):
    folders = trainers(tmp_path, {"seed": 7}, {"seed": 3})
    named = [tmp_path / "dictionary_of_the_first_run", tmp_path / "another_dictionary_after_it"]
    for folder, name in zip(folders, named, strict=True):
        folder.rename(name)
    assert short_labels(read_dictionaries(named)) == ["seed 7", "seed 3"]


def test_one_seed_stated_by_all_is_noted(tmp_path):
    folders = trainers(tmp_path, {"seed": 4}, {"seed": 4})
    notes = compare(folders).document["notes"]
    assert any("state the same seed, 4" in note for note in notes)
