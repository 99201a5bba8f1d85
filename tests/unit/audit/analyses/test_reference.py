"""Scores against independent references: private agreement of some seeds does not count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.analyses.config import ReferenceConfig, TransportConfig
from audit.analyses.reference import score_against_references
from audit.analyses.transport import transport
from audit.training.stages import stacked
from helpers.comparison_data import normal, planted

N, D, SHARED = 24, 16, 12
KNOWN = planted(8, N, D, SHARED)
"""Dictionaries that share half of their directions."""
CONFIG = replace(KNOWN[0].config, n_latents=N)


def dictionaries(saes, initial=None):
    rows = stacked(saes, [sae.decoder for sae in saes])
    return rows | {"initial_decoder": rows["decoder"] if initial is None else initial}


def private(count):
    """Copies of one dictionary that is unrelated to all others."""
    (own,) = planted(1, N, D, 0)
    return [replace(own, decoder=own.decoder.clone()) for _ in range(count)]


def activations():
    spectrum = torch.arange(1, D + 1) ** -0.5
    x = normal(600, D, seed=7) * spectrum
    return {"train": x[:400].numpy(), "heldout": x[400:].numpy()}


def ask(**trainings):
    names = tuple(name for name in trainings if name != "references")
    config = ReferenceConfig(names, (CONFIG,) * len(names), "references", heldout=100)
    return score_against_references(config, {"family": trainings}, activations())


REFERENCES = dictionaries(KNOWN[5:])


def test_private_agreement_shows_between_seeds_and_not_with_references():
    found = ask(
        private=dictionaries(private(3)), known=dictionaries(KNOWN[:3]), references=REFERENCES
    )
    alike, known = found["private"], found["known"]
    assert np.nanmean(alike["full"]["max_cosine"]) == pytest.approx(1.0, abs=1e-5)
    assert np.nanmean(alike["full"]["matched_mean"]) == pytest.approx(1.0, abs=1e-5)
    assert abs((alike["judge"] - alike["judge_gauge"]).mean()) < 0.08
    assert (known["judge"] - known["judge_gauge"]).min() > 0.15
    assert (known["judge_matched"] - known["judge_matched_gauge"]).min() > 0.15


def test_references_are_averaged_for_each_seed():
    found = ask(known=dictionaries(KNOWN[:3]), references=REFERENCES)["known"]
    assert found["judge"].shape == found["judge_matched"].shape == (3,)
    expected = []
    for W in KNOWN[:3]:
        S = [W.decoder @ reference.decoder.T for reference in KNOWN[5:]]
        expected.append(np.mean([(s.amax(0).mean() + s.amax(1).mean()) / 2 for s in S]))
    np.testing.assert_allclose(found["judge"], expected, atol=1e-5)


def test_the_untrained_level_compares_initial_decoders():
    one = np.stack([KNOWN[0].decoder.numpy()] * 3)
    found = ask(known=dictionaries(KNOWN[:3], one), references=REFERENCES)["known"]
    assert np.nanmean(found["untrained"]["max_cosine"]) == pytest.approx(1.0, abs=1e-5)
    assert np.isnan(np.diag(found["untrained"]["max_cosine"])).all()
    assert found["cosine_with_start"][0] == pytest.approx(1.0)
    assert found["cosine_with_start"][1] < 0.9


def test_initial_decoders_have_their_own_reference_scores_and_chance():
    known = np.stack([sae.decoder.numpy() for sae in KNOWN[:3]])
    # The trained decoders are nearly parallel, with scrambled cosines near ±1.
    flat = torch.nn.functional.normalize(torch.eye(D)[:1] + 0.05 * normal(N, D, seed=3), dim=1)
    trained = [replace(KNOWN[0], decoder=flat.clone()) for _ in range(3)]
    found = ask(flat=dictionaries(trained, known), references=REFERENCES)["flat"]
    assert (found["judge_start"] - found["judge_start_gauge"]).min() > 0.15
    assert set(found["start_gauge"]) == {"max_cosine"}
    alone = ask(known=dictionaries(KNOWN[:3]), references=REFERENCES)["known"]
    by_chance = [np.nanmean(each["start_gauge"]["max_cosine"]) for each in (found, alone)]
    assert by_chance[0] == pytest.approx(by_chance[1], abs=0.05)
    assert np.nanmean(found["untrained"]["max_cosine"]) - by_chance[0] > 0.15


def test_chance_of_a_training_does_not_depend_on_other_trainings():
    alone = ask(known=dictionaries(KNOWN[:3]), references=REFERENCES)["known"]
    beside = ask(
        private=dictionaries(private(3)), known=dictionaries(KNOWN[:3]), references=REFERENCES
    )["known"]
    np.testing.assert_array_equal(alone["gauge"]["max_cosine"], beside["gauge"]["max_cosine"])
    np.testing.assert_array_equal(alone["judge_gauge"], beside["judge_gauge"])


def test_the_truth_is_the_best_cosine_of_each_planted_direction():
    decoder = KNOWN[0].decoder
    planted_there = torch.cat([decoder[:2], torch.nn.functional.normalize(normal(3, D, seed=5))])
    truth = {
        "directions": planted_there.numpy(),
        "unit": np.array([0, 1, 2, 2, 2]),
        "rank": np.array([1, 1, 3]),
    }
    config = ReferenceConfig(("known",), (CONFIG,), "references")
    trainings = {"known": dictionaries(KNOWN[:3]), "references": REFERENCES}
    found = score_against_references(config, {"family": trainings}, activations(), truth)["known"]
    best = (planted_there @ decoder.T).amax(1)
    assert found["truth"][0] == pytest.approx(best.mean().item(), abs=1e-5)
    assert found["truth_singles"][0] == pytest.approx(1.0, abs=1e-5)
    assert found["truth_gauge"].max() < found["truth_singles"][0]


def test_quality_is_measured_on_the_configured_held_out_samples():
    from seedstability.dictionaries.metrics import quality

    found = ask(known=dictionaries(KNOWN[:3]), references=REFERENCES)["known"]
    expected = quality(KNOWN[0], torch.from_numpy(activations()["heldout"][:100]))
    assert found["explained_variance"][0] == pytest.approx(expected.explained_variance)
    assert found["l0"][0] == pytest.approx(expected.l0)


def test_transport_is_complete_for_equal_dictionaries_and_not_for_scrambled_ones():
    trainings = {"plain": dictionaries(private(3))}
    found = transport(TransportConfig((0.005, 0.5)), trainings, activations())
    trained, gauge = found["trained"], found["gauge"]
    assert np.nanmean(trained["matched"]) == pytest.approx(1.0, abs=1e-5)
    assert np.nanmean(trained["transported"][0]) > 0.99
    assert np.nanmean(trained["partners"][0]) < np.nanmean(trained["partners"][1])
    assert np.nanmean(gauge["barycentric"][0]) < 0.9
    assert np.nanmean(trained["transported"][1]) < np.nanmean(trained["matched"])
    assert found["error"].max() < 1e-3


def test_transport_aligns_each_seed_with_the_next():
    trainings = {"plain": dictionaries(KNOWN[:4])}
    ring = transport(TransportConfig((0.1,)), trainings, activations())["trained"]["matched"]
    assert np.isnan(ring[0, 2])
    assert not np.isnan(ring[[0, 1, 2, 3], [1, 2, 3, 0]]).any()
