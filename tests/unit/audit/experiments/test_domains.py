"""Section "Code and prose": recurrence within and across domains."""

import numpy as np
import pytest

from audit.experiments.domains import experiment as domains
from audit.experiments.domains.measurements import _of_pairs, across
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import in_order

SEEDS, N = 5, 60


def best(stable_across: bool) -> dict:
    """A third of the latents is stable within; these, or all others, recur across."""
    stable = np.arange(N) < N // 3
    within = np.where(stable, 0.95, 0.2) + 0.001 * np.arange(N)[::-1] / N
    found = np.where(stable == stable_across, 0.9, 0.1)
    own = np.tile(within, (SEEDS, SEEDS, 1))
    own[range(SEEDS), range(SEEDS)] = np.nan
    other = np.tile(found, (SEEDS, SEEDS, 1))
    gauge = 0.1 + 0.1 * np.random.default_rng(0).random(other.shape)
    return {"within": own, "across": other, "gauge": gauge}


def pairs(stable_across=True, shared=0.3) -> dict:
    names = ("max_cosine", "matched_mean", "shared", "shared_decoder_only", "agreeing")
    return {
        **{name: np.full((SEEDS, SEEDS), shared) for name in names},
        "gauge": {name: np.full((SEEDS, SEEDS), 0.1) for name in names},
        "first": best(stable_across),
        "second": best(stable_across),
    }


def test_stable_and_unstable_latents_found_across_are_counted_apart():
    node = across(domains.paper, pairs())["code"]
    assert node["stable_found"].value == 100.0
    assert node["unstable_found"].value == 0.0
    assert node["stable_found_gauge"].value == 0.0
    assert node["rank_correlation"].value > 0.5
    assert node["stable"].value == pytest.approx(100 / 3)


def test_rank_correlation_is_negative_if_unstable_latents_recur_across():
    node = across(domains.paper, pairs(stable_across=False))["prose"]
    assert node["stable_found"].value == 0.0
    assert node["rank_correlation"].value < 0


def test_cross_similarity_is_corrected_for_its_own_chance():
    node = _of_pairs(pairs(), "shared")
    assert node["value"].value == pytest.approx(30.0)
    assert node["kappa_gauge"].value == pytest.approx(0.2 / 0.9)


def test_pairs_of_equal_initialization_do_not_count_across():
    given = pairs()
    for name in ("shared", "matched_mean"):
        np.fill_diagonal(given[name], 1.0)
    for side in ("first", "second"):
        given[side]["across"][range(SEEDS), range(SEEDS)] = 1.0
    node, plain = across(domains.paper, given), across(domains.paper, pairs())
    assert node["shared"]["value"].value == pytest.approx(30.0)
    assert node["shared"]["same_start"].value == pytest.approx(100.0)
    for name in ("across", "stable_found", "rank_correlation"):
        assert node["code"][name].value == plain["code"][name].value


@pytest.mark.parametrize("profile", domains.PROFILES)
def test_arms_differ_in_their_domain_alone(profile):
    settings = domains.PROFILES[profile]
    stages = {each.name: each for each in in_order(domains.parts(settings).values())}
    code, prose = (stages[f"domains/{kind}/train"].config for kind in ("code", "prose"))
    base = language.base_arm(settings.base).train.config
    assert code == prose
    assert code.dictionary == base.dictionary
    assert code.seeds == base.seeds[: len(code.seeds)]
    assert code.samples == base.samples
    reads = [stages[f"domains/{kind}/train"].needed["activations"] for kind in ("code", "prose")]
    assert [each.config.domains for each in reads] == [("code",), ("prose",)]
