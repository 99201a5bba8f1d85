"""A report's results elsewhere: tables to paste, pandas frames, reordered checkpoints."""

import builtins

import numpy as np
import pytest
import torch

import seedstability
from helpers.comparison_data import activations, normal, planted, sae
from helpers.report_documents import example
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.report.summary import summary
from seedstability.similarity.alignment import align, permutation
from seedstability.stability.matching.match import match


def test_a_markdown_table_holds_value_chance_and_kappa():
    lines = summary(example()[0]).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[3].count("|") == 7
    best = next(line for line in lines if "best partner, signed" in line)
    assert "0.412 [0.404, 0.420] | 0.361 | gauge-scrambled | 0.080" in best
    assert lines[-1].startswith("5 dictionaries (seed 0, seed 1, seed 2, seed 3, seed 4) of 64")
    assert lines[-1].endswith("In brackets: 95% over 5 seeds.")


def test_a_latex_table_escapes_what_latex_would_read():
    document, _ = example(2, names=["a_b & 100%", "c\\d{$x^2~#}"])
    text = summary(document, "latex")
    assert r"a\_b \& 100\%, c\textbackslash{}d\{\$x\textasciicircum{}2\textasciitilde{}\#\}" in text
    assert r"\begin{tabular}{lrrlrr}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 7
    assert all(row.count(" & ") == 5 for row in rows)
    assert "−" not in text
    assert "κ" not in text


def test_a_report_has_both_tables():
    report = compare(planted(2, n=12, d=6, shared=4))
    assert report.to_markdown() == summary(report.document, "markdown")
    assert report.to_latex() == summary(report.document, "latex")


def test_frames_hold_what_the_report_does():
    saes = planted(3, n=16, d=8, shared=6)
    report = compare(saes, activations(200, 8))
    frames = report.frames()
    measures = frames["measures"].set_index(["scope", "statistic"])
    found = report.document["measures"]["full"]["matched_mean"]
    row = measures.loc[("full", "matched_mean")]
    assert row["value"] == found["value"]
    assert row["chance_gauge"] == found["chance"]["gauge"]
    assert row["kappa_gauge"] == found["kappa"]["gauge"]["value"]
    assert len(frames["latents"]) == 3 * 16
    assert {"firing", "reproducibility"} <= {*frames["latents"].columns}
    pairs = frames["pairs"].query("scope == 'full' and statistic == 'max_cosine'")
    assert [*zip(pairs["a"], pairs["b"], strict=True)] == [
        ("SAE 0", "SAE 1"),
        ("SAE 0", "SAE 2"),
        ("SAE 1", "SAE 2"),
    ]
    partners = frames["partners"]
    assert len(partners) == 3 * 16
    first = partners.iloc[5]
    a, b = (int(first[name].removeprefix("SAE ")) for name in "ab")
    cosine = torch.cosine_similarity(
        saes[a].decoder[first["latent_a"]], saes[b].decoder[first["latent_b"]], dim=0
    )
    assert first["cosine"] == pytest.approx(cosine.item(), abs=1e-6)
    assert list(frames["dictionaries"]["live"]) == [
        each["live"] for each in report.document["dictionaries"]
    ]


def test_frames_without_pandas_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **more):
        if name == "pandas":
            raise ImportError
        return real(name, *args, **more)

    report = compare(planted(2, n=12, d=6, shared=4))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install .seedstability\[frames\]"):
        report.frames()


@pytest.mark.parametrize("sizes", [(20, 20), (20, 26), (26, 20)])
def test_aligned_latents_stand_beside_their_partners(sizes):
    n_a, n_b = sizes
    A, B = sae(normal(n_a, 12, seed=1)), sae(normal(n_b, 12, seed=2))
    aligned = align(A, B)
    matching = match(A.decoder, B.decoder)
    matched = (matching.partner >= 0).nonzero().flatten()
    together = torch.cosine_similarity(A.decoder[matched], aligned.decoder[: len(matched)])
    torch.testing.assert_close(together, matching.cosine[matched])
    x = activations(30, 12)
    torch.testing.assert_close(aligned.reconstruct(x), B.reconstruct(x))
    order = permutation(matching, n_b)
    np.testing.assert_array_equal(np.sort(order), np.arange(n_b))
    assert torch.equal(aligned.encode(x), B.encode(x)[:, order])
    assert seedstability.align(A, B).decoder.equal(aligned.decoder)


def test_saes_of_different_widths_are_not_aligned():
    with pytest.raises(UserError, match="widths differ: 12 and 8"):
        align(sae(normal(6, 12)), sae(normal(6, 8)))
