"""Two groups of dictionaries, and checkpoints of one run."""

import numpy as np
import pytest
import torch

from helpers.comparison_data import activations, normal, planted, sae, schema_errors
from helpers.dictionaries_checkpoints import draw, saelens
from seedstability.dictionaries.formats.folder import save
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.report.page.rendering import render


def two_groups(first: int, second: int):
    """Dictionaries that share 12 directions within each group, of which 4 with the other group."""
    common = planted(first + second, n=24, d=64, shared=4)
    own = [planted(n, n=8, d=64, shared=8, noise=0.0) for n in (first, second)]
    rotated = torch.linalg.qr(normal(64, 64, seed=5))[0]
    made = []
    for place, each in enumerate(common):
        group, index = (0, place) if place < first else (1, place - first)
        more = own[group][index].decoder
        made.append(sae(torch.cat([each.decoder, more @ rotated if group else more])))
    return made[:first], made[first:]


@pytest.mark.parametrize("sizes", [(3, 4), (2, 2)])
def test_pairs_within_groups_are_more_alike_than_those_between(sizes):
    A, B = two_groups(*sizes)
    report = compare(A, against=B)
    assert schema_errors(report.document) == []
    found = report.document["groups"]
    assert found["of"] == [0] * sizes[0] + [1] * sizes[1]
    pairs = np.array(report.document["pairs"]["full"]["matched_mean"], float)
    of = np.array(found["of"])
    same = np.equal.outer(of, of)
    np.fill_diagonal(pairs, np.nan)
    its = found["measures"]["matched_mean"]
    for group in (0, 1):
        inside = np.nanmean(pairs[np.ix_(of == group, of == group)])
        assert its["within"][group]["value"] == pytest.approx(inside, rel=1e-4)
    assert its["between"]["value"] == pytest.approx(pairs[~same].mean(), rel=1e-4)
    mean = (its["within"][0]["value"] + its["within"][1]["value"]) / 2
    assert its["difference"]["value"] == pytest.approx(its["between"]["value"] - mean, abs=1e-5)
    assert its["difference"]["high"] < -0.1
    kind = "95% over 7 seeds" if sizes == (3, 4) else "range without one of each group"
    assert its["between"]["interval"].startswith(kind.split(" over")[0])
    assert report.summary[0].startswith("The cosine with the best partner is 0.")
    assert "Two groups" in render(report.document, report.arrays)


def test_settings_may_differ_between_groups_and_not_within_one(tmp_path):
    folders = [
        saelens(
            tmp_path / f"k{k}_seed{seed}",
            {"architecture": "topk", "k": k},
            {"W_dec": draw(12, 5, seed=10 * k + seed)},
        )
        for k in (2, 3)
        for seed in range(2)
    ]
    report = compare(folders[:2], against=folders[2:])
    assert [each["setting"] for each in report.document["inputs"]["differences"]] == ["k"]
    with pytest.raises(UserError, match=r"differ in more than the seed: k \(2, 3\).*--against"):
        compare(folders)
    with pytest.raises(UserError, match=r"differ in more than the seed: k \(2, 3\)"):
        compare(folders[::2], against=folders[1::2])
    with pytest.raises(UserError, match="each of two groups needs at least 2 dictionaries"):
        compare(folders[:3], against=folders[3:])


def run_over_time(n: int = 20, d: int = 32):
    """Decoders that move from a start to an end, each latent in its place."""
    start, end = normal(n, d, seed=1), normal(n, d, seed=2)
    return [sae((1 - share) * start + share * end) for share in (0.0, 0.4, 0.8, 1.0)]


@pytest.mark.parametrize(
    "paths",
    [
        ("step_{}", (0, 500, 1000, 20000)),
        ("run_7/checkpoints/{}k_tokens", (1, 2, 30, 400)),
        ("seed3_{}/final_7", (10, 20, 30, 40)),
    ],
)
def test_checkpoints_of_one_run_are_put_in_order_and_held_against_the_last(tmp_path, paths):
    pattern, steps = paths
    saes = run_over_time()
    for each, step in zip(saes, steps, strict=True):
        (tmp_path / pattern.format(step)).parent.mkdir(parents=True, exist_ok=True)
        save(each, tmp_path / pattern.format(step))
    given = [tmp_path / pattern.format(step) for step in steps]
    report = compare([given[2], given[0], given[3], given[1]], over_time=True)
    assert schema_errors(report.document) == []
    found = report.document["over_time"]
    scale = 1000 if "k_tokens" in pattern else 1
    assert found["steps"] == [scale * step for step in steps]
    last = saes[-1].decoder
    expected = [torch.cosine_similarity(each.decoder, last).mean().item() for each in saes]
    assert found["to_last"]["same_latent"] == pytest.approx(expected, abs=1e-5)
    assert found["to_last"]["best"][2] >= found["to_last"]["same_latent"][2] - 1e-6
    assert found["to_next"]["same_latent"][-1] is None
    names = [each["name"] for each in report.document["inputs"]["dictionaries"]]
    assert names[0] == f"step {scale * steps[0]:,}"
    assert report.summary[0].startswith("These are checkpoints of one run over time, not seeds.")
    assert "checkpoints" in report.document["measures"]["full"]["max_cosine"]["interval"]
    html = render(report.document, report.arrays)
    assert "Over time" in html
    assert "cosine with the last checkpoint" in html.lower() or "over-time" in html


def test_checkpoints_without_steps_or_of_two_sizes_are_refused(tmp_path):
    saes = run_over_time()
    assert compare(saes, over_time=True).document["over_time"]["steps"] == [0, 1, 2, 3]
    for each, name in zip(saes, ("early", "late"), strict=False):
        save(each, tmp_path / name)
    with pytest.raises(UserError, match="do not say their steps"):
        compare([tmp_path / "early", tmp_path / "late"], over_time=True)
    save(saes[0], tmp_path / "step_1")
    save(sae(normal(9, 32)), tmp_path / "step_2")
    with pytest.raises(UserError, match=r"one number of latents; these have \[9, 20\]"):
        compare([tmp_path / "step_1", tmp_path / "step_2"], over_time=True)


def test_the_same_seed_stated_twice_leads_to_over_time(tmp_path):
    for step in (1, 2):
        saelens(tmp_path / f"step_{step}", {"seed": 3}, {"W_dec": draw(12, 5, seed=step)})
    given = [tmp_path / "step_1", tmp_path / "step_2"]
    assert any("--over-time" in note for note in compare(given).document["notes"])
    over_time = compare(given, activations(64, 5), over_time=True).document
    assert not any("--over-time" in note for note in over_time["notes"])
