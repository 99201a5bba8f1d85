"""Reading SAEs for a comparison; invalid ones are refused in one line with their folder."""

import pytest
import torch

from helpers.comparison_data import activations, normal, planted, sae
from seedstability.dictionaries.formats.folder import save
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.similarity.dictionaries.labels import short_labels
from seedstability.similarity.dictionaries.reading import read_dictionaries


@pytest.fixture
def folders(tmp_path):
    """Three dictionaries on disk, in three formats."""
    places = []
    formats = ("seedstability", "saelens", "sparsify")
    for seed, (each, format) in enumerate(
        zip(planted(3, n=16, d=8, shared=4), formats, strict=True)
    ):
        save(each, tmp_path / f"seed_{seed}", format)
        places.append(str(tmp_path / f"seed_{seed}"))
    return places


def refusal(*given, **more) -> str:
    with pytest.raises(UserError) as caught:
        compare(list(given), **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_of_any_format_are_read_labeled_and_hashed(folders):
    inputs = read_dictionaries(folders)
    assert [each.format for each in inputs] == ["seedstability", "saelens", "sparsify"]
    assert short_labels(inputs) == ["seed 0", "seed 1", "seed 2"]
    listed = inputs[1].report_entry("seed 1")
    assert set(listed["files"]) == {"cfg.json", "sae_weights.safetensors"}
    assert listed["folder"] == folders[1]
    assert (listed["n_latents"], listed["d"]) == (16, 8)


@pytest.mark.parametrize(
    ("places", "labels"),
    [
        (("a/layer_6", "b/layer_6"), ["a", "b"]),
        (("gpt2_topk_seed7", "gpt2_topk_seed3"), ["seed7", "seed3"]),
        (("gpt2-topk-seed-7-final", "gpt2-topk-seed-13-final"), ["seed 7", "seed 13"]),
        (("runs/seed_7/checkpoint_last", "runs/seed_3/checkpoint_last"), ["seed 7", "seed 3"]),
        (("k32_lr3_seed0", "k64_lr3_seed1"), ["SAE 0", "SAE 1"]),
        (("a_very_long_name", "a_very_long_name_2"), ["name", "name 2"]),
    ],
)
def test_labels_show_what_differs_between_the_folders(tmp_path, places, labels):
    for seed, place in enumerate(places):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        save(sae(normal(8, 4, seed=seed)), tmp_path / place)
    assert short_labels(read_dictionaries([tmp_path / place for place in places])) == labels


def test_fewer_than_two_dictionaries_are_refused(folders):
    assert "at least 2" in refusal()
    assert folders[0] in refusal(folders[0])


def test_duplicate_folders_are_refused_also_through_links(folders, tmp_path):
    assert f"{folders[1]} is the same dictionary" in refusal(folders[1], folders[0], folders[1])
    (tmp_path / "link").symlink_to(folders[0])
    said = refusal(folders[0], tmp_path / "link")
    assert "link is the same dictionary as" in said


def test_saes_in_memory_may_be_parameters_halves_or_arrays():
    plain = planted(2, n=16, d=8, shared=4)
    expected = compare(plain, activations(64, 8)).document["measures"]
    for change in (torch.nn.Parameter, lambda part: part.numpy()):
        changed = [SAE(*map(change, each.parts().values()), each.config) for each in plain]
        assert compare(changed, activations(64, 8)).document["measures"] == expected
    half = [SAE(*(part.half() for part in each.parts().values()), each.config) for each in plain]
    rounded = [SAE(*(part.float() for part in each.parts().values()), each.config) for each in half]
    found, same = (compare(each, activations(64, 8)).document for each in (half, rounded))
    assert found["measures"] == same["measures"]


def test_one_path_alone_is_not_taken_for_a_list_of_letters(folders):
    with pytest.raises(UserError, match="give two or more folders, in a list"):
        compare(folders[0])


def test_duplicate_weights_are_refused_in_any_format(tmp_path):
    each = planted(1, n=16, d=8, shared=4)[0]
    save(each, tmp_path / "one")
    save(each, tmp_path / "other", "sparsify")
    assert "other has the same weights as" in refusal(tmp_path / "one", tmp_path / "other")
    assert "SAE 1 is the same dictionary as SAE 0" in refusal(each, each)


def test_different_widths_are_refused(folders):
    said = refusal(*folders, sae(normal(16, 6)))
    assert "latents of width 6" in said
    assert folders[0] in said


def test_initial_dictionaries_of_another_shape_are_refused(folders):
    initial = [*folders[:2], sae(normal(12, 8))]
    said = refusal(*folders, initial=initial, allow_different=True)
    assert f"12 latents of width 8, {folders[2]} 16" in said


def test_folders_without_an_sae_and_damaged_files_are_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty contains no SAE" in refusal(folders[0], tmp_path / "empty")
    file = tmp_path / "seed_1" / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert "sae_weights.safetensors" in refusal(folders[0], folders[1])


def test_width_one_is_refused():
    said = refusal(sae(normal(4, 1)), sae(normal(4, 1, seed=1)))
    assert "width of at least 2" in said


def test_initial_dictionaries_must_match_in_number_and_shape():
    saes = planted(3, n=16, d=8, shared=4)
    start = sae(normal(16, 8))
    assert "2 initial dictionaries given for 3" in refusal(*saes, initial=[start, start])
    said = refusal(*saes, initial=[start, start, sae(normal(12, 8))])
    assert "12 latents" in said
    # A shared initialization is allowed.
    report = compare(saes, initial=[start, start, start])
    assert report.document["measures"]["full"]["max_cosine"]["chance"]["untrained"] == 1.0
    # It is not a chance level to compare with, and is reported separately.
    assert "100% would by chance" not in report.summary[0]
    assert "At initialization, 100% of latents already recurred." in report.summary


@pytest.mark.parametrize("threshold", [0.0, 1.0, 7.0, float("nan")])
def test_thresholds_outside_zero_and_one_are_refused(threshold):
    assert "between 0 and 1" in refusal(*planted(2, n=8, d=4, shared=2), threshold=threshold)
