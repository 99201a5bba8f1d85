"""Base configuration of the sections on language models, the grid, and estimates of cost."""

import pytest

from audit.experiments.common.estimates import estimate
from audit.experiments.grid import experiment as grid
from audit.experiments.language import experiment as language
from audit.experiments.registry import parts
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.graph.stage import in_order
from audit.pipeline.locking.locked import read_values
from helpers.repository import ROOT
from seedstability.dictionaries.config import TrainingConfig
from seedstability.errors import UserError


def test_the_full_grid_is_twelve_hundred_trainings():
    arms = grid.arms(grid.PROFILES["full"])
    assert len(arms) == 3 * 5 * 4
    assert sum(len(arm.train.config.seeds) for arm in arms.values()) == 1200
    assert all(estimate(arm.train).dictionaries == 20 for arm in arms.values())


def test_hooks_are_spread_from_the_embeddings_to_the_final_stream():
    starts = [f"blocks.{block}.hook_resid_pre" for block in (0, 3, 6, 9)]
    assert grid.hooks("gpt2", 5) == [*starts, "blocks.11.hook_resid_post"]
    starts = [f"blocks.{block}.hook_resid_pre" for block in range(4)]
    assert grid.hooks("small", 5) == [*starts, "blocks.3.hook_resid_post"]
    known = "there are small, smollm2-135m, gpt2"
    with pytest.raises(UserError, match=f"no model is called 'gpt3'; {known}"):
        grid.hooks("gpt3", 5)


def test_only_the_full_profile_may_download():
    for profile in ("smoke", "paper", "full"):
        stages = in_order(s for part in parts(profile).values() for s in part.values())
        asking = {s.name for s in stages if getattr(s.config, "allow_download", False)}
        assert bool(asking) == (profile == "full")
        assert not any("small" in name for name in asking)


def test_the_grid_is_not_in_the_paper():
    assert "grid" not in parts("paper")
    with pytest.raises(UserError, match="grid has nothing in profile paper"):
        parts("paper", ["grid"])


def test_every_stage_on_a_language_model_has_an_estimate():
    stages = in_order(grid.parts(grid.PROFILES["full"]).values())
    without = [stage.name for stage in stages if estimate(stage) is None]
    assert without == ["grid/points"]


def test_estimate_grows_with_size():
    arms = grid.arms(grid.PROFILES["full"])
    small, large = (estimate(arms[f"gpt2_2_n{n}"].train) for n in (512, 16384))
    assert large.seconds > 20 * small.seconds
    assert large.memory > small.memory
    assert estimate(arms["gpt2_2_n512"].data).disk == 4 * 1_048_576 * 768


def test_base_configuration_is_a_shared_stage():
    settings = language.PROFILES["paper"]
    one, other = language.base_arm(settings), language.base_arm(settings)
    stages = (one.train, one.compare), (other.train, other.compare)
    keys = [portable_keys(pair) for pair in stages]
    assert keys[0] == keys[1]
    assert isinstance(one.train.config, TrainingConfig)
    assert one.train.config.samples == settings.tokens


def test_model_beats_ngrams():
    values = read_values(ROOT / "data" / "locked" / "paper", ["language"])
    for domain in ("code", "prose"):
        assert values[f"language.subject.loss.{domain}.gain"].value > 0.1
