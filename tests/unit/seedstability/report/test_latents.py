"""What a report says of single latents: nearest ones, top contexts, a page elsewhere."""

import json

import numpy as np
import pytest
import torch

from helpers.comparison_data import activations, planted, sae, schema_errors
from helpers.dictionaries_checkpoints import draw, saelens
from helpers.report_documents import example
from seedstability.errors import UserError
from seedstability.report import arrays as report_arrays
from seedstability.report.compare import compare
from seedstability.report.page import latents
from seedstability.report.page.rendering import render
from seedstability.similarity.samples.tokens import read_tokens


def test_the_nearest_latents_are_listed_in_both_directions():
    saes = planted(3, n=12, d=6, shared=4)
    saes[0].decoder[2] = saes[0].encoder[2] = 0  # left out, and numbers stay
    found = compare(saes).arrays
    for place, (i, j) in enumerate(found["nearest_pairs"].tolist()):
        S = torch.nn.functional.normalize(saes[i].decoder, dim=1)
        S = S @ torch.nn.functional.normalize(saes[j].decoder, dim=1).T
        for latent in range(12):
            near = found["nearest"][place, :, latent]
            if (i, latent) == (0, 2):
                assert near.tolist() == [-1] * 3
                continue
            row = S[latent].clone()
            if j == 0:
                row[2] = -2.0
            expected = row.topk(3)
            assert near.tolist() == expected.indices.tolist()
            cosines = found["nearest_cosine"][place, :, latent]
            np.testing.assert_allclose(cosines, expected.values, atol=1e-6)
    assert sorted(map(tuple, found["nearest_pairs"].tolist())) == sorted(
        (i, j) for i in range(3) for j in range(3) if i != j
    )


def test_fewer_latents_than_three_leave_gaps():
    found = compare([sae(draw(2, 4)), sae(draw(2, 4, seed=1))]).arrays["nearest"]
    assert (found[:, 2] == -1).all()
    assert (found[:, :2] >= 0).all()


def test_too_many_nearest_latents_are_left_out(monkeypatch):
    monkeypatch.setattr(report_arrays, "_MOST_NEAREST", 100)
    assert "nearest" not in compare(planted(3, n=12, d=6, shared=4)).arrays


WORDS = [f" w{place}" for place in range(60)]


@pytest.mark.parametrize("contexts", [1, 4])
def test_top_contexts_are_those_of_the_largest_values(contexts):
    saes, x = planted(2, n=12, d=6, shared=4), activations(60, 6)
    size = 60 // contexts
    given = [WORDS[start : start + size] for start in range(0, 60, size)]
    report = compare(saes, x, tokens=WORDS if contexts == 1 else given)
    assert schema_errors(report.document) == []
    for place, each in enumerate(saes):
        codes = each.encode(x)
        for latent in range(12):
            values, samples = codes[:, latent].topk(3)
            expected = [s if v > 0 else -1 for s, v in zip(samples.tolist(), values, strict=True)]
            assert report.arrays["top_samples"][place, :, latent].tolist() == expected
            np.testing.assert_allclose(report.arrays["top_values"][place, :, latent], values)
    said = report.document["inputs"]["contexts"]
    for number, text in said.items():
        at, context = int(number), int(number) // size
        inside = range(context * size, (context + 1) * size)
        around = [n for n in range(at - 8, at + 5) if n in inside]
        expected = "".join(f"«{WORDS[n]}»" if n == at else WORDS[n] for n in around)
        assert text == expected
    first = report.arrays["top_samples"][0, 0]
    html = render(report.document, report.arrays)
    shown = json.loads(html.split('id="listed">')[1].split("</script>")[0])
    texts = next(c["values"] for c in shown["columns"] if c["key"] == "context")
    fired = np.flatnonzero(first >= 0)[0]
    assert texts[fired].startswith(said[str(first[fired])].strip())
    assert [value for value, at in zip(texts, first, strict=False) if at < 0] == [None] * sum(
        first < 0
    )


def test_tokens_are_read_from_files(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([["a", " b"], [" c"]]))
    (tmp_path / "a.txt").write_text("a\n b\n c\n")
    (tmp_path / "odd.txt").write_text("a\n\n c")
    assert read_tokens(tmp_path / "a.json", 3).starts == [0, 2, 3]
    assert read_tokens(str(tmp_path / "a.txt"), 3).words == ["a", " b", " c"]
    assert read_tokens(tmp_path / "odd.txt", 3).words == ["a", "", " c"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a"] * 59, r"the list of tokens holds 59 tokens for 60 activations; each needs one"),
        ([1] * 60, r"holds other things than text"),
        ([["a"] * 59, 3], r"holds other things than text"),
        ("x.csv", r"x\.csv is no file of tokens; need \.json or \.txt"),
        ("none.json", r"none\.json cannot be read"),
        ("bad.json", r"bad\.json is not json in UTF-8"),
        ("word.json", r"must hold tokens, or contexts of tokens"),
    ],
)
def test_what_are_no_tokens_is_refused(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "word.json").write_text('"word"')
    (tmp_path / "x.csv").touch()
    with pytest.raises(UserError, match=said):
        compare(planted(2, n=12, d=6, shared=4), activations(60, 6), tokens=given)


def test_tokens_need_all_activations():
    saes = planted(2, n=12, d=6, shared=4)
    for more in ({}, {"activations": activations(60, 6), "drop_outliers": True}):
        with pytest.raises(UserError, match="tokens are those of activations, all of them"):
            compare(saes, tokens=WORDS, **more)


def test_contexts_of_too_many_samples_are_not_listed(monkeypatch):
    monkeypatch.setattr("seedstability.report.document._MOST_CONTEXTS", 5)
    report = compare(planted(2, n=12, d=6, shared=4), activations(60, 6), tokens=WORDS)
    assert report.document["inputs"]["contexts"] is None
    assert any("contexts are not listed" in note for note in report.document["notes"])
    assert "top_samples" in report.arrays


def test_latents_link_to_the_page_that_their_checkpoint_names(tmp_path):
    for seed in range(2):
        named = {"metadata": {"neuronpedia_id": f"gpt2-small/6-res-{seed}"}}
        saelens(tmp_path / f"s{seed}", named, {"W_dec": draw(12, 5, seed=seed)})
    report = compare([tmp_path / "s0", tmp_path / "s1"])
    assert schema_errors(report.document) == []
    html = render(report.document, report.arrays)
    shown = json.loads(html.split('id="listed">')[1].split("</script>")[0])
    assert shown["links"] == [
        f"https://www.neuronpedia.org/gpt2-small/6-res-{seed}" for seed in range(2)
    ]
    saelens(tmp_path / "odd", {"neuronpedia_id": "javascript:alert(1)"}, {"W_dec": draw(12, 5)})
    odd = compare([tmp_path / "odd", tmp_path / "s1"], allow_different=True)
    assert odd.document["inputs"]["dictionaries"][0]["neuronpedia"] is None


def test_nearest_latents_stand_beside_the_partner():
    document, arrays = example(2, activations=False)
    pairs = np.array([[0, 1], [1, 0]], np.int32)
    near = np.tile(np.array([4, 9, -1], np.int32)[None, :, None], (2, 1, 64))
    cosine = np.tile(np.array([0.5, 0.25, np.nan], np.float32)[None, :, None], (2, 1, 64))
    arrays |= {"nearest_pairs": pairs, "nearest": near, "nearest_cosine": cosine}
    table = latents.latent_table(["a", "b"], arrays)
    columns = {each["key"]: each for each in table.columns["columns"]}
    assert columns["in1"]["more"][0] == "4 (0.50), 9 (0.25)"
    assert columns["in1"]["more"][64] is None
    assert "neuronpedia" not in render(document, arrays)
