"""Section "Can unshared latents be explained?": values from made-up scores, and planned stages."""

import numpy as np
import pytest

from audit.experiments.explanations import experiment as explanations
from audit.experiments.explanations import measurements as measurements
from audit.experiments.explanations.experiment import ExplanationsMeasurementConfig
from audit.experiments.explanations.latents import (
    SeedPairs,
    binned_means,
    explained_latents,
    lowest_tenth,
    partial_spearman,
    spearman,
)
from audit.pipeline.graph.stage import in_order
from audit.pipeline.locking.values import Values

SEEDS, LATENTS, N = 5, 60, 200
CONFIG = ExplanationsMeasurementConfig(N)


def tables(slope_alignment=0.0, slope_rate=0.0, level=0.6, seed=0):
    """Scores with given slopes over alignment and firing rate; none for random directions."""
    rng = np.random.default_rng(seed)
    shape = (SEEDS, LATENTS)
    rate = 10 ** rng.uniform(-3, -1, shape)
    latent = np.stack([rng.choice(N, LATENTS, replace=False) for _ in range(SEEDS)])
    alignment = np.full((SEEDS, SEEDS, N), np.nan)
    base = rng.uniform(0.2, 1.0, (SEEDS, N))
    for s in range(SEEDS):
        for t in set(range(SEEDS)) - {s}:
            alignment[s, t] = base[s]
    own = np.take_along_axis(base, latent, axis=1)
    noise = rng.normal(0, 0.02, (3, *shape))
    score = level + slope_alignment * (own - 0.6) + slope_rate * np.log10(rate) + noise[0]
    explained = {
        "latent": latent,
        "rate": rate,
        "predicates": np.full(shape, 3),
        "score": score,
        "strong": score + 0.1,
        "random": 0.6 + noise[1],
        "strong_random": 0.65 + noise[1],
        "swapped": 0.5 + noise[2],
        "live": np.full(SEEDS, 190),
        "rare": np.full(SEEDS, 95),
        "common": np.zeros(SEEDS, int),
        "control": {"tokens": np.ones(3), "pairs": np.full(3, 0.99)},
        "rules": {
            f"seed{s}": "\n".join(f'token is "{i}"' for i in range(LATENTS)) for s in range(SEEDS)
        },
    }
    return explained, {"alignment": alignment}


def measured(part, **shape) -> Values:
    explained, aligned = tables(**shape)
    both = {"explained": explained, "aligned": aligned}
    needed = both if part in ("alignment", "rules", "figure") else {"explained": explained}
    return Values.from_tree(getattr(measurements, part)(CONFIG, **needed))


def test_scores_like_random_directions_have_no_gain():
    values = measured("scores")
    gain = values.scalar("gain.value")
    assert gain.low < 0 < gain.high
    assert values.scalar("gain.smallest_seen").value < 0.02
    assert values.scalar("mean").chance == pytest.approx(0.6, abs=0.01)
    assert values.scalar("control_pairs").value == pytest.approx(0.99)


def test_scores_above_chance_have_a_gain():
    values = measured("scores", level=0.7)
    assert values.scalar("gain.value").low > 0.09
    assert values.scalar("kappa_random").value == pytest.approx(0.25, abs=0.02)


def test_unscored_latents_are_a_share_of_live_ones():
    values = measured("scores")
    assert values.scalar("rare").value == 50.0
    assert values.scalar("dead").value == 5.0


def test_correlation_with_alignment_has_the_right_size():
    values = measured("alignment", slope_alignment=0.2)
    assert values.scalar("spearman.value").low > 0.8
    assert values.scalar("spearman.value").chance == 0.0
    assert values.scalar("gap.value").low > 0.05
    assert values.scalar("above_median.unshared").high < 50


def test_without_correlation_the_minimum_detectable_effect_is_given():
    values = measured("alignment")
    found = values.scalar("spearman.value")
    assert found.low < 0 < found.high
    assert 0.05 < values.scalar("spearman.smallest_seen").value < 0.5
    assert values.scalar("above_median.unshared").chance == pytest.approx(50, abs=10)


def test_partial_correlation_removes_what_firing_rate_causes():
    rng = np.random.default_rng(0)
    rate = rng.normal(size=2000)
    score, cosine = rate + rng.normal(size=2000), rate + rng.normal(size=2000)
    assert spearman(score, cosine) > 0.4
    assert abs(partial_spearman(score, cosine, rate)) < 0.06


def test_spearman_equals_scipy_with_ties_and_nan():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, 50).astype(float), rng.normal(size=50)
    gap = x.copy()
    gap[:5] = np.nan
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert spearman(gap, y) == pytest.approx(spearmanr(x[5:], y[5:]).statistic)
    assert spearman(np.ones(50), y) == 0.0


def test_low_scores_of_frequent_latents_exceed_chance():
    values = measured("frequency", slope_rate=-0.1)
    assert values.scalar("spearman.value").high < -0.8
    assert values.scalar("lowest_tenth").low > 2
    assert abs(values.scalar("spearman_random.value").value) < 0.2
    assert values.scalar("spearman_gain.value").high < -0.5


def test_the_lowest_tenth_is_a_tenth():
    rate = np.arange(1.0, 101.0)
    assert lowest_tenth(-rate, rate) == 95.5 / 45.5


def test_unshared_latents_do_not_exceed_the_threshold():
    explained, aligned = tables(slope_alignment=0.2)
    pairs = SeedPairs(explained_latents(explained), aligned["alignment"], 0.7)
    against = pairs.against(0, 1)
    assert against.cosine[against.shared].min() > 0.7 >= against.cosine[~against.shared].max()


def test_gap_is_zero_if_no_latent_is_shared():
    explained, aligned = tables(slope_alignment=0.2)
    low = {"alignment": np.where(np.isnan(aligned["alignment"]), np.nan, 0.3)}
    tree = measurements.alignment(CONFIG, explained, low)
    assert tree["gap"]["value"].value == 0.0
    assert tree["shared_share"].value == 0.0


def test_padding_of_tables_is_dropped():
    explained, _ = tables()
    for name in ("rate", "score", "random", "swapped", "strong", "strong_random"):
        explained[name][0, 30:] = np.nan
    explained["latent"][0, 30:] = -1
    assert [len(d.latent) for d in explained_latents(explained)] == [30, 60, 60, 60, 60]
    assert np.isfinite(measurements.scores(CONFIG, explained)["mean"].value)


def test_rules_are_chosen_by_alignment_and_score_alone():
    explained, aligned = tables(slope_alignment=0.1)
    tree = measurements.rules(CONFIG, explained, aligned)
    assert list(tree) == ["low", "middle", "high"]
    for third in tree.values():
        scores = [third[name]["score"].value for name in ("worst", "poor", "good", "best")]
        assert scores == sorted(scores)
    highest = [max(rule["alignment"].value for rule in third.values()) for third in tree.values()]
    lowest = [min(rule["alignment"].value for rule in third.values()) for third in tree.values()]
    assert highest[0] <= lowest[1]
    assert highest[1] <= lowest[2]


def test_a_printed_rule_is_that_of_its_latent():
    explained, aligned = tables(slope_alignment=0.1)
    rule = measurements.rules(CONFIG, explained, aligned)["low"]["best"]
    place = int(rule["quoted"].removeprefix('token is "').removesuffix('"'))
    assert rule["score"].value == explained["score"][0, place]
    assert rule["alignment"].value == aligned["alignment"][0, 1, explained["latent"][0, place]]


def test_bins_hold_equal_counts_in_order():
    values = np.arange(10.0)[::-1]
    assert binned_means(values, [values, values * 2], 5).tolist() == [
        [0.5, 2.5, 4.5, 6.5, 8.5],
        [1.0, 5.0, 9.0, 13.0, 17.0],
    ]


def test_figure_shares_sum_to_one():
    values = measured("figure")
    for name in ("score", "random", "swapped"):
        assert values.subtree(f"share.{name}")["value"].values.sum() == pytest.approx(1.0, abs=5e-3)


def test_tolerances_cover_other_seeds():
    one, other = (measured("scores", seed=seed) for seed in (0, 1))
    for address in ("mean", "random", "swapped", "quartile_low", "gain.value"):
        apart = abs(one.scalar(address).value - other.scalar(address).value)
        assert apart <= one.scalar(address).allowed_difference


@pytest.mark.parametrize("profile", ["smoke", "paper", "full"])
def test_explained_dictionaries_are_those_of_the_section_on_alignment(profile):
    from audit.experiments.alignment import experiment as alignment

    settings = explanations.PROFILES[profile]
    stages = {stage.name: stage for stage in in_order(explanations.parts(settings).values())}
    theirs = alignment.size_arm(alignment.PROFILES[profile], settings.n_latents).train
    ours = stages["explanations/explain"].needed["dictionaries"]
    assert ours.config == theirs.config
    assert ours.name == theirs.name
    assert stages["explanations/align"].needed["dictionaries"].config == theirs.config
    assert stages["explanations/explain"].config.dictionary == theirs.config.dictionary


def test_the_paper_scores_as_many_windows_as_the_report():
    config = explanations.parts(explanations.paper)["scores"].needed["explained"].config
    assert config.scored == 100
