"""Section "Same data, different features": statistics of single latents, and planned arms."""

import numpy as np
import pytest

from audit.experiments.alignment import experiment as alignment
from audit.experiments.alignment.curves import curves
from audit.experiments.alignment.latents import (
    Latents,
    at_equal,
    deciles,
    frequent_and_unshared,
    rank_correlation,
    third_seed,
)
from audit.experiments.alignment.measurements import _trend, _where
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import Scalar
from helpers.alignment_data import evaluation, partners

ALL = [True] * 4


def test_tolerance_of_interval_ends_is_the_interval_width():
    def node(low, high):
        found = {"value": Scalar(50.0, 2, "%", low, high), "gauge": Scalar(1.0, 2, "%")}
        names = ("shared", "shared_decoder_only", "agreeing", "matched_mean")
        tree = {name: dict(found) for name in names}
        metrics = {"explained_variance": Scalar(0.9, 3), "dead_fraction": Scalar(0.0, 1, "%")}
        return tree | {"live": {name: dict(found) for name in names}, "quality": metrics}

    shared = curves((16, 64), [node(49.0, 51.0), node(40.0, 60.0)])["shared"]
    assert shared["low"].tolerance == shared["high"].tolerance == 20.0
    assert shared["value"].tolerance == 3.0


def latents(shared, frequency=None, cosine=0.9) -> Latents:
    seeds = {3: 3, 6: 4, 10: 5}[len(shared)]
    frequency = np.full((seeds, len(shared[0])), 0.1) if frequency is None else frequency
    return latents_of(evaluation(frequency), partners(shared, cosine))


def latents_of(evaluation, partners) -> Latents:
    return Latents({"evaluation": evaluation, "comparison": {"partners": partners}})


def with_cosines(cosines: np.ndarray, frequency: np.ndarray) -> Latents:
    """Latents with the same cosine in every other seed."""
    n_seeds, n = frequency.shape
    pairs = n_seeds * (n_seeds - 1) // 2
    found = latents([[True] * n] * pairs, frequency)
    found.cosine = np.where(np.isnan(found.cosine), np.nan, cosines)
    return found


def test_pair_is_symmetric():
    given = partners([ALL])
    given["decoder_partner"] = np.array([[2, 0, 3, 1]])
    given["encoder_partner"] = np.array([[2, 0, 1, 3]])
    given["decoder_cosine"] = np.array([[0.9, 0.8, 0.75, 0.4]])
    given["encoder_cosine"] = np.array([[0.8, 0.6, 0.75, 0.4]])
    found = latents_of(evaluation(np.full((2, 4), 0.1)), given)
    assert found.shared[0, 1].tolist() == [1, 0, 0, 0]
    assert found.shared[1, 0].tolist() == [0, 0, 1, 0]
    assert found.agreeing[1, 0].tolist() == [1, 0, 1, 0]
    assert found.cosine[1, 0, 2] == pytest.approx(0.85)


def test_third_seed_shares_what_the_first_two_share():
    found = third_seed(latents([[True] * 2 + [False] * 2] * 3), only_live=False)
    assert found["with_one"].mean == pytest.approx(0.5)
    assert found["with_two"].mean == pytest.approx(0.5)
    assert found["third"].mean == pytest.approx(1.0)
    assert found["excess"].mean == pytest.approx(0.5)


def test_independent_sharing_has_no_excess():
    generator = np.random.default_rng(0)
    shared = (generator.random((10, 4000)) < 0.5).tolist()
    found = third_seed(latents(shared), only_live=False)
    assert found["excess"].mean == pytest.approx(0.0, abs=0.02)
    assert found["with_two"].mean == pytest.approx(0.25, abs=0.02)
    assert found["excess"].label.startswith("95% jackknife")


def test_only_live_leaves_dead_latents_out_of_sharing():
    frequency = np.array([[0.1, 0.1, 0, 0]] * 3)
    shared = [[True] * 2 + [False] * 2] * 3
    assert third_seed(latents(shared, frequency), only_live=True)["with_one"].mean == 0.0


def test_rank_correlation_depends_on_order_alone():
    frequency = np.tile(np.logspace(-4, -1, 20), (5, 1))
    rising = with_cosines(np.linspace(0.1, 0.9, 20) ** 3, frequency)
    assert rank_correlation(rising).mean == pytest.approx(1.0)
    falling = with_cosines(np.linspace(0.9, 0.1, 20), frequency)
    assert rank_correlation(falling).mean == pytest.approx(-1.0)


def test_top_tenth_is_the_most_frequent():
    frequency = np.tile(np.linspace(0.01, 0.2, 20), (3, 1))
    shared = [[True] * 18 + [False] * 2] * 3
    found = frequent_and_unshared(latents(shared, frequency))
    others = ~np.eye(3, dtype=bool)
    assert (found["top"][others] == 1.0).all()
    assert (found["bottom"][others] == 0.0).all()
    assert (found["above_median"][others] == 1.0).all()
    assert found["all"][0, 1] == pytest.approx(0.1)


@pytest.mark.parametrize("cause", ["updates", "frequency"])
def test_frequency_is_separated_from_updates(cause):
    generator = np.random.default_rng(1)
    frequency = 10 ** generator.uniform(-4, -1, (5, 2000))
    long = with_cosines(0, frequency)
    short = with_cosines(0, frequency[::-1])
    for arm, tokens in ((long, 4.0), (short, 1.0)):
        drives = arm.frequency * (tokens if cause == "updates" else 1.0)
        aligned = 0.2 * np.log10(drives) + 1.0
        arm.cosine = np.where(np.isnan(arm.cosine), np.nan, aligned[:, None, :])
    found = at_equal(long, short, times=4.0)
    per_factor = 0.2 * np.log10(4.0)
    expected = {"updates": (per_factor, 0.0), "frequency": (0.0, per_factor)}[cause]
    assert found["frequency"].mean == pytest.approx(expected[0], abs=0.02)
    assert found["updates"].mean == pytest.approx(expected[1], abs=0.02)


def test_deciles_ascend_in_frequency():
    frequency = np.tile(np.logspace(-4, -1, 50), (3, 1))
    found = deciles(with_cosines(np.linspace(0, 1, 50), frequency))
    assert (np.diff(found["frequency"]) > 0).all()
    assert (np.diff(found["median"]) > 0).all()


def test_mean_cosine_is_split_by_agreement_of_assignments():
    node = _where(latents([[True] * 3 + [False] * 3] * 3))
    assert node["agreeing"].value == pytest.approx(0.9)
    assert node["disagreeing"].value == pytest.approx(0.3)
    assert node["left_out"].value == pytest.approx(100.0)


def tables(kappas: list[float], seeds: list[range]) -> list[dict]:
    def full(value: float, n_seeds: int) -> np.ndarray:
        return np.where(np.eye(n_seeds, dtype=bool), np.nan, value)

    return [
        {
            "seeds": np.array(s),
            "full": {"shared": full(0.1 + 0.9 * k, len(s))},
            "gauge": {"shared": full(0.1, len(s))},
        }
        for k, s in zip(kappas, seeds, strict=True)
    ]


SIZES = (512, 2048, 8192, 16384)


def test_trend_is_the_slope_of_kappa_per_doubling_over_sizes_with_all_seeds():
    seeds = [range(5), range(5), range(5), range(3)]
    node = _trend(SIZES, tables([0.8, 0.6, 0.4, 0.9], seeds), "shared", "full")
    assert node["slope"].value == pytest.approx(-0.1)
    assert node["sizes"] == 3
    assert node["slope_all"].interval == "range of 3 seeds"
    assert node["slope_all"].value > -0.1


def test_trend_over_all_sizes_reads_the_seeds_that_all_have():
    found = tables([0.8, 0.6, 0.4, 0.9], [range(5), range(5), range(5), range(2, 5)])
    for each in found[:3]:
        each["full"]["shared"][[0, 1], [1, 0]] = 1.0  # of the two seeds that one size lacks
    node = _trend(SIZES, found, "shared", "full")
    slope = np.polyfit(np.log2(SIZES), [0.8, 0.6, 0.4, 0.9], 1)[0]
    assert node["slope_all"].value == pytest.approx(slope)
    assert node["slope_all"].high == pytest.approx(slope)


@pytest.mark.parametrize("profile", alignment.PROFILES)
def test_compared_architectures_share_all_other_settings(profile):
    stages = {
        each.name: each for each in in_order(alignment.parts(alignment.PROFILES[profile]).values())
    }
    compared = [
        stage.config
        for name, stage in stages.items()
        if name.startswith("alignment/compared/") and name.endswith("/train")
    ]
    assert len(compared) == 6
    for name in ("n_latents", "epochs", "batch_size", "learning_rate", "order"):
        assert len({getattr(each.dictionary, name) for each in compared}) == 1, name
    assert len({(each.seeds, each.samples, each.order_seed) for each in compared}) == 1
    rate = alignment.PROFILES[profile].learning_rate
    assert {each.dictionary.learning_rate for each in compared} == {rate}


@pytest.mark.parametrize("profile", alignment.PROFILES)
def test_calibration_seed_is_in_no_arm(profile):
    settings = alignment.PROFILES[profile]
    assert 1000 not in (*settings.seeds, *settings.fewest_seeds)
    assert set(settings.fewest_seeds) <= set(settings.seeds)


@pytest.mark.parametrize("profile", alignment.PROFILES)
def test_all_sizes_see_the_same_tokens_in_the_same_steps(profile):
    stages = {
        each.name: each for each in in_order(alignment.parts(alignment.PROFILES[profile]).values())
    }
    sizes = [
        s.config
        for name, s in stages.items()
        if name.startswith("alignment/size") and "train" in name
    ]
    assert len(sizes) == 4
    seen = {(c.samples, c.dictionary.epochs, c.dictionary.batch_size) for c in sizes}
    assert len(seen) == 1


def test_short_arm_sees_fewer_tokens_by_its_factor():
    stages = {each.name: each for each in in_order(alignment.parts(alignment.paper).values())}
    seen = {name: stages[f"alignment/{name}/train"].config for name in ("short", "compared/topk")}
    tokens = {name: c.samples * c.dictionary.epochs for name, c in seen.items()}
    assert tokens["compared/topk"] == alignment.paper.short * tokens["short"]
