"""Training: what a seed means, what stays the same whoever trains beside it, and bad input."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from dictionaries_data import samples

from seedstability.dictionaries import stages, training
from seedstability.dictionaries.architectures import initialise
from seedstability.dictionaries.batch import gradients, look
from seedstability.dictionaries.batched import Batched
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    HUSAI_RELU,
    HUSAI_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
    TrainingConfig,
)
from seedstability.dictionaries.quality import quality
from seedstability.dictionaries.revival import resample
from seedstability.dictionaries.schedule import rate_share, sparsity_share
from seedstability.dictionaries.screening import Screened
from seedstability.dictionaries.side_by_side import SideBySide
from seedstability.dictionaries.start import Units, geometric_median, start
from seedstability.dictionaries.trainee import Trainee
from seedstability.dictionaries.training import Means, batch_orders, feed, train, train_all
from seedstability.errors import UserError
from seedstability.stability.chance import chance_level
from seedstability.stability.cosine import max_cosine
from seedstability.subjects.samples import InMemory, Shards, write_shards

X = samples(m=600, d=24)
ACTIVATIONS = {"train": X[:500].numpy(), "heldout": X[500:].numpy()}
SMALL = {"n_latents": 64, "k": 4, "epochs": 2, "batch_size": 64}
# short enough runs that what happens late in the literature happens at all
SOON = {"dead_after": 400, "clip_norm": 0.5, "warm_up_steps": 4, "decay_share": 0.5}
PRESETS = {
    "topk": replace(TOPK, **SMALL),
    "topk_auxk": replace(TOPK, **SMALL, **SOON),
    "batch_topk": replace(BATCH_TOPK, **SMALL),
    "relu": replace(RELU, **SMALL),
    "relu_resampled": replace(RELU, **(SMALL | {"epochs": 4}), resample_every=7),
    "jumprelu": replace(JUMPRELU, **SMALL, sparsity_warm_up_steps=8),
    "husai_topk": replace(HUSAI_TOPK, **SMALL),
    "husai_relu": replace(HUSAI_RELU, **SMALL),
}
A_HUNDRED = InMemory(torch.zeros(100, 2))


def same(a, b) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in (*stages.PARTS, stages.INITIAL))


@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_gives_the_same_bits_alone_and_among_others(name):
    together = stages.train(TrainingConfig(PRESETS[name], seeds=(1, 2, 3)), ACTIVATIONS)
    alone = stages.train(TrainingConfig(PRESETS[name], seeds=(2,)), ACTIVATIONS)
    assert same({part: together[part][1:2] for part in alone if part != "trace"}, alone)


@pytest.mark.parametrize("name", PRESETS)
def test_one_and_two_threads_give_the_same_bits(name):
    x = samples(m=600, d=128)
    config = TrainingConfig(replace(PRESETS[name], n_latents=1024, batch_size=256), seeds=(1,))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(stages.train(config, {"train": x.numpy(), "heldout": x.numpy()}))
    finally:
        torch.set_num_threads(before)
    assert same(*results)


def test_shared_order_is_one_order_and_own_orders_differ():
    shared, own = (
        [next(batch_orders(A_HUNDRED, replace(TOPK, order=order), 0, seed))[0] for seed in (1, 2)]
        for order in ("shared", "own")
    )
    assert torch.equal(*shared)
    assert not torch.equal(*own)
    other = next(batch_orders(A_HUNDRED, TOPK, 1, seed=1))[0]
    assert not torch.equal(shared[0], other)


def test_every_epoch_is_a_new_shuffle_of_all_samples():
    orders = batch_orders(InMemory(X[:500]), PRESETS["topk"], 0, seed=1)
    first, second = torch.cat(next(orders)), torch.cat(next(orders))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, torch.arange(500))


def test_one_initialisation_under_shared_order_gives_one_dictionary():
    config = TrainingConfig(PRESETS["topk"], seeds=(1, 2), init_seeds=(7, 7))
    result = stages.train(config, ACTIVATIONS)
    assert np.array_equal(*result["decoder"])
    own = replace(config, dictionary=replace(PRESETS["topk"], order="own"))
    result = stages.train(own, ACTIVATIONS)
    assert np.array_equal(*result[stages.INITIAL])
    assert not np.array_equal(*result["decoder"])


def test_a_frozen_decoder_stays_while_the_encoder_learns():
    config = TrainingConfig(
        replace(PRESETS["topk"], epochs=10), (1,), frozen_decoder=True, trace_epochs=(0, 10)
    )
    qualities = []
    (trained,) = train_all(
        X, config, watch=lambda moment: qualities.append(quality(moment.saes[0], X))
    )
    assert torch.equal(trained.sae.decoder, initialise(PRESETS["topk"], 24, 1).decoder)
    assert qualities[-1].explained_variance > qualities[0].explained_variance + 0.01


@pytest.mark.parametrize("name", PRESETS)
def test_decoder_rows_have_length_one_at_both_ends(name):
    result = stages.train(TrainingConfig(PRESETS[name], seeds=(1,)), ACTIVATIONS)
    for part in ("decoder", stages.INITIAL):
        np.testing.assert_allclose(np.linalg.norm(result[part], axis=2), 1, rtol=1e-5)


def test_without_unit_norm_the_rows_are_free():
    config = replace(PRESETS["topk"], unit_norm_decoder=False, remove_parallel_gradient=False)
    (sae,) = train(X, config, seeds=(1,))
    assert (sae.decoder.norm(dim=1) - 1).abs().max() > 1e-3


def test_husai_starts_untied_without_biases():
    sae = initialise(HUSAI_TOPK, d=128, seed=1)
    bound = (6 / 128) ** 0.5
    assert 0.99 * bound < sae.encoder.abs().max() <= bound
    assert not torch.equal(sae.encoder, sae.decoder)
    (trained,) = train(X, PRESETS["husai_topk"], seeds=(1,))
    assert not trained.decoder_bias.any()
    assert trained.encoder_bias.any()


def test_a_tied_start_reads_what_it_writes_about_the_mean():
    config = TrainingConfig(replace(PRESETS["relu"], epochs=0), seeds=(1,))
    sae = train_all(X, config)[0].sae
    cosines = torch.nn.functional.cosine_similarity(sae.encoder, sae.decoder)
    torch.testing.assert_close(cosines, torch.ones(64))
    torch.testing.assert_close(sae.decoder_bias, X.mean(0))
    assert quality(sae, X).explained_variance > 0.3


def test_units_of_the_activations_do_not_matter_where_they_are_normalised():
    (ours,), (theirs,) = (train(x, PRESETS["relu"], seeds=(1,)) for x in (X, 1000 * X))
    torch.testing.assert_close(ours.decoder, theirs.decoder, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(
        1000 * ours.reconstruct(X), theirs.reconstruct(1000 * X), atol=0.5, rtol=1e-3
    )


def test_the_trace_ends_where_training_ends():
    config = TrainingConfig(PRESETS["relu"], seeds=(1, 2), trace_epochs=(0, 2), trace_decoders=True)
    result = stages.train(config, ACTIVATIONS)
    trace = result["trace"]
    assert trace["epoch"].tolist() == [0, 2]
    assert np.array_equal(trace["decoder"][0], result[stages.INITIAL])
    assert np.array_equal(trace["decoder"][1], result["decoder"])
    for seed, sae in enumerate(stages.saes(result, config.dictionary)):
        measured = quality(sae, X[500:])
        for name in stages.TRACED:
            assert trace[name][1, seed] == pytest.approx(getattr(measured, name))


def test_firings_are_those_of_the_last_epoch():
    result = stages.train(TrainingConfig(PRESETS["husai_topk"], seeds=(1,)), ACTIVATIONS)
    assert result["last_epoch_firings"].sum() == 500 * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 65}, "k is 65 with 64 latents; it must lie in 1…64"),
        ({"k": 0}, "k is 0"),
        ({"n_latents": 0}, "no dictionary has 0 latents"),
        ({"architecture": "gated"}, "must be one of topk, batch_topk, relu, jumprelu"),
        ({"k": 64, "suppression": 0.1}, "latents that are not kept"),
        ({"architecture": "relu", "suppression": 0.1}, "only topk has that term"),
        ({"suppression": 0.1}, "holds down what the second revives"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; it must be above 0"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0; it must be above 0, or None"),
        ({"decay_share": 1.5}, "decay_share is 1.5"),
        ({"bandwidth": 0.0}, "bandwidth is 0.0"),
        ({"threshold_memory": 1.0}, "threshold_memory is 1.0"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(UserError, match=words):
        train(X, replace(PRESETS["topk"], **change), seeds=(1,))


def test_nan_names_seed_and_step():
    x = X.clone()
    x[17, 3] = torch.nan
    with pytest.raises(UserError, match=r"seed 5, step \d+: the loss is nan"):
        train(x, PRESETS["husai_topk"], seeds=(5,))
    with pytest.raises(UserError, match="do not vary, or hold NaN"):
        train(x, PRESETS["topk"], seeds=(5,))


@pytest.mark.parametrize("device", ["one by one", "batched"])
def test_a_diverging_loss_names_seed_and_step(device):
    wild = replace(PRESETS["husai_relu"], learning_rate=300.0, unit_norm_decoder=False)
    starts = [start(InMemory(X), UNIT, wild, 1)]
    if device == "batched":
        engine = Batched(starts, wild, 20, names=["5"])
    else:
        engine = SideBySide(starts, wild, 20, names=["5"])
    with pytest.raises(UserError, match=r"seed 5, step \d+: the loss is .* at the first step, it"):
        engine.advance([feed(InMemory(X), UNIT, wild, 0, 5)], 20)


def test_a_dead_dictionary_names_seed_and_step():
    dying = replace(PRESETS["relu"], l1=1e4, learning_rate=0.1, epochs=9)
    with pytest.raises(UserError, match=r"seed 5, step \d+: no latent fired"):
        train(X, dying, seeds=(5,))


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(UserError, match=rf"device is '{device}': .*; take cpu"):
        train(X, PRESETS["topk"], seeds=(1,), device=device)


def test_without_seeds_there_is_nothing_to_train():
    with pytest.raises(UserError, match="seeds is empty"):
        train(X, PRESETS["topk"], seeds=())


def test_init_seeds_must_be_as_many_as_seeds():
    with pytest.raises(UserError, match="init_seeds has 1 entries for 2 seeds"):
        stages.train(TrainingConfig(PRESETS["topk"], (1, 2), init_seeds=(1,)), ACTIVATIONS)


@pytest.mark.parametrize("x", [torch.zeros(0, 24), torch.zeros(24)])
def test_activations_without_samples_are_refused(x):
    with pytest.raises(UserError, match="need samples × d"):
        train(x, PRESETS["topk"], seeds=(1,))


@pytest.mark.parametrize("name", PRESETS)
def test_more_cores_change_no_bit(name):
    one, two = (train(X, PRESETS[name], seeds=(1, 2, 3), cores=cores) for cores in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert identical(first, second)


def test_screened_training_gives_the_same_bits():
    x = samples(m=600, d=48)
    config = replace(PRESETS["topk"], n_latents=512, k=8)
    exact = train(x, config, seeds=(1, 2))
    select = Screened()
    screened = train(x, config, seeds=(1, 2), cores=2, select=select)
    assert all(identical(*both) for both in zip(exact, screened, strict=True))
    assert select.rows == 2 * 2 * 600


@pytest.mark.parametrize("order", ["shared", "own"])
@pytest.mark.parametrize("name", PRESETS)
def test_one_product_for_all_seeds_trains_what_one_by_one_does(name, order, monkeypatch):
    """What a graphics card is given, on a CPU: within rounding, resampling and all."""
    config = TrainingConfig(replace(PRESETS[name], order=order), (1, 2, 3))
    one_by_one = train_all(X, config)

    def batched(starts, config, total, means):
        names = [str(seed) for seed in config.seeds]
        return nullcontext(Batched(starts, config.dictionary, total, names=names))

    monkeypatch.setattr(training, "_engine", batched)
    together = train_all(X, config)
    for one, other in zip(one_by_one, together, strict=True):
        for part in stages.PARTS:
            found, expected = getattr(other.sae, part), getattr(one.sae, part)
            torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)


def test_dead_latents_do_not_slow_the_threads_down_with_tiny_numbers():
    settings = PRESETS["topk"]
    with SideBySide([initialise(settings, 24, 1)], settings, 1, names=["1"]) as group:
        tiny = group._pool.submit(lambda: (torch.full((9,), 1e-30) * 1e-9).any().item())
        assert tiny.result() is False


def identical(first, second) -> bool:
    return all(torch.equal(getattr(first, part), getattr(second, part)) for part in stages.PARTS)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("name", PRESETS)
def test_an_interrupted_run_goes_on_to_the_same_bits(name, tmp_path):
    per_epoch = -(-len(X) // 64)
    config = TrainingConfig(PRESETS[name], (1, 2), trace_steps=(per_epoch + 3,))
    whole = train_all(X, config)

    def interrupt(_):
        raise Interrupted

    means = Means(checkpoint=tmp_path / "run.safetensors", checkpoint_every=per_epoch + 2)
    with pytest.raises(Interrupted):
        train_all(X, config, means, interrupt)
    seen = []
    resumed = train_all(X, config, means, lambda moment: seen.append(moment.step))
    assert seen == [per_epoch + 3]
    for one, other in zip(whole, resumed, strict=True):
        assert identical(one.sae, other.sae)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)
    assert list(tmp_path.iterdir()) == [means.checkpoint]


def test_a_finished_checkpoint_trains_no_more(tmp_path):
    means = Means(checkpoint=tmp_path / "run.safetensors")
    config = TrainingConfig(PRESETS["topk"], (1,), trace_epochs=(0, 1, 2))
    first = train_all(X, config, means)
    again = train_all(X, config, means, watch=lambda _: pytest.fail("it trained"))
    assert identical(first[0].sae, again[0].sae)
    assert first[0].last_epoch_firings.any()
    assert torch.equal(first[0].last_epoch_firings, again[0].last_epoch_firings)


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": (1, 3)},
        {"dictionary": replace(PRESETS["topk"], learning_rate=1e-3)},
        {"order_seed": 1},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changed, tmp_path):
    means = Means(checkpoint=tmp_path / "run.safetensors")
    config = TrainingConfig(PRESETS["topk"], (1, 2))
    train_all(X, config, means)
    with pytest.raises(UserError, match="is the checkpoint of other settings, seeds or activ"):
        train_all(X, replace(config, **changed), means)
    with pytest.raises(UserError, match="is the checkpoint of other settings, seeds or activ"):
        train_all(X + 1, config, means)


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"run.safetensors is no checkpoint that can be read"):
        train_all(X, TrainingConfig(PRESETS["topk"], (1,)), Means(checkpoint=path))


def test_shards_on_disk_train_as_memory_does_where_there_is_one(tmp_path):
    shards = write_shards([X], tmp_path / "one")
    (memory,), (disk,) = (train(x, PRESETS["topk"], seeds=(1,)) for x in (X, shards))
    assert identical(memory, disk)


def test_many_shards_train_to_the_same_quality(tmp_path):
    write_shards(X.split(130), tmp_path / "many")
    long = replace(PRESETS["topk"], epochs=20)
    (memory,), (disk,) = (train(x, long, seeds=(1,)) for x in (X, Shards(tmp_path / "many")))
    reached = [quality(sae, X).explained_variance for sae in (memory, disk)]
    assert reached[0] == pytest.approx(reached[1], abs=0.02)


def test_given_dictionaries_are_where_training_begins():
    config = TrainingConfig(replace(PRESETS["topk"], epochs=0), (1, 2))
    trained = train(X, PRESETS["topk"], seeds=(5, 6))
    begun = train_all(X, config, starts=trained)
    for one, other in zip(trained, begun, strict=True):
        torch.testing.assert_close(one.reconstruct(X), other.sae.reconstruct(X))
    before = trained[0].decoder.clone()
    train_all(X, replace(config, dictionary=PRESETS["topk"]), starts=trained)
    assert torch.equal(trained[0].decoder, before)
    with pytest.raises(UserError, match=r"need one of \[64, 24\] for each of 2 seeds"):
        train_all(X, config, starts=trained[:1])


def test_moments_hold_the_mean_loss_of_the_steps_between_them():
    config = TrainingConfig(PRESETS["husai_topk"], (1, 2), trace_epochs=(0, 2), trace_steps=(3, 5))
    moments = []
    train_all(X, config, watch=lambda m: moments.append((m.step, m.epoch, m.losses)))
    steps, epochs, losses = zip(*moments, strict=True)
    per_epoch = -(-len(X) // 64)
    assert steps == (0, 3, 5, 2 * per_epoch)
    assert epochs == tuple(step / per_epoch for step in steps)
    assert np.isnan(losses[0]).all()
    trainee = Trainee(start(InMemory(X), UNIT, PRESETS["husai_topk"], 2), "2")
    batches = feed(InMemory(X), UNIT, PRESETS["husai_topk"], 0, 2)
    by_hand = [trainee.step(next(batches)) for _ in range(5)]
    assert losses[1][1] == pytest.approx(np.mean(by_hand[:3]))
    assert losses[2][1] == pytest.approx(np.mean(by_hand[3:]))


UNIT = Units(X.mean(0), 1.0)


def test_the_trace_holds_the_pairs_of_seeds_beside_chance():
    config = TrainingConfig(PRESETS["topk"], seeds=(1, 2, 3), trace_epochs=(0, 2))
    result = stages.train(config, ACTIVATIONS)
    trace = result["trace"]
    assert trace["max_cosine"].shape == (2, 3)
    first, third = (torch.from_numpy(result["decoder"][seed]) for seed in (0, 2))
    assert trace["max_cosine"][1, 1] == pytest.approx(max_cosine(first, third), rel=1e-5)
    assert trace["max_cosine_chance"].tolist() == [chance_level(64, 24, "max_cosine")] * 2
    assert trace["max_cosine"][0].mean() == pytest.approx(trace["max_cosine_chance"][0], abs=0.02)


def test_the_learning_rate_rises_and_falls():
    config = replace(TOPK, warm_up_steps=4, decay_share=0.5)
    shares = [rate_share(config, step, 10) for step in range(1, 11)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    sparsity = [sparsity_share(replace(RELU, sparsity_warm_up_steps=2), t) for t in (1, 2, 3)]
    assert sparsity == [0.5, 1, 1]


def test_adams_first_step_is_as_long_as_the_schedule_says():
    x = samples(m=64, d=24)
    config = replace(PRESETS["husai_topk"], unit_norm_decoder=False, warm_up_steps=10)
    trainee = Trainee(initialise(config, 24, 1), "1")
    before = trainee.sae.decoder.clone()
    trainee.step(x)
    moved = (trainee.sae.decoder - before).abs()
    assert moved.max() == pytest.approx(config.learning_rate / 10, rel=1e-3)


def test_a_clipped_gradient_has_the_length_asked_for():
    x = samples(m=64, d=24)
    felt = {"bandwidth": 0.5, "l0_weight": 1.0, "threshold_start": 0.3, "sparsity_warm_up_steps": 0}
    whole = replace(PRESETS["jumprelu"], warm_up_steps=0, **felt)
    batch = look(initialise(whole, 24, 1), x)
    found = gradients(initialise(whole, 24, 1), batch)
    sae = initialise(whole, 24, 1)
    found["decoder"] -= (found["decoder"] * sae.decoder).sum(1, keepdim=True) * sae.decoder
    square = sum(part.square().sum().item() for part in found.values())
    length = (square + np.square(batch.threshold).sum()) ** 0.5
    moments = {}
    for share in (0.5, 2.0):
        trainee = Trainee(initialise(replace(whole, clip_norm=share * length), 24, 1), "1")
        trainee.step(x)
        moments[share] = trainee.state()
    free = Trainee(initialise(whole, 24, 1), "1")
    free.step(x)
    for name, moment in free.state().items():
        if name.startswith("mean_"):
            np.testing.assert_allclose(moments[0.5][name], moment / 2, rtol=1e-4, atol=1e-9)
            assert np.array_equal(moments[2.0][name], moment)


def test_batch_topk_ends_with_a_threshold_that_keeps_about_k():
    (sae,) = train(X, replace(PRESETS["batch_topk"], epochs=10), seeds=(1,))
    assert sae.threshold.unique().numel() == 1
    assert quality(sae, X).l0 == pytest.approx(4, rel=0.15)


def test_jumprelu_learns_thresholds_and_is_sparse_by_them():
    quick = {"epochs": 30, "learning_rate": 1e-2, "bandwidth": 0.3, "warm_up_steps": 0}
    sparse = replace(PRESETS["jumprelu"], **quick, l0_weight=0.03)
    (sae,) = train(X, sparse, seeds=(1,))
    (dense,) = train(X, replace(sparse, l0_weight=0.0), seeds=(1,))
    assert sae.threshold.std() > 0
    assert quality(sae, X).l0 < 0.8 * quality(dense, X).l0


def share_of_weak_that_fire(spoil, **changes) -> float:
    """Half of the latents begin spoilt; the share of them that fired in the last epoch."""
    config = replace(PRESETS["topk"], **{"epochs": 30, "auxk": 0, **changes})
    begun = start(InMemory(X), UNIT, config, 1)
    spoil(begun)
    (trained,) = train_all(X, TrainingConfig(config, (1,)), starts=[begun])
    return (trained.last_epoch_firings[::2] > 0).float().mean().item()


def test_only_resampling_brings_back_latents_that_nothing_reaches():
    def silence(sae):
        sae.encoder_bias[::2] = -100

    assert share_of_weak_that_fire(silence) == 0
    assert share_of_weak_that_fire(silence, auxk=16, dead_after=400) == 0
    assert share_of_weak_that_fire(silence, resample_every=50) > 0.1


def test_auxk_brings_back_latents_that_are_never_among_the_k_largest():
    def weaken(sae):
        sae.encoder[::2] *= 0.3

    quick = {"learning_rate": 3e-3, "auxk_weight": 1.0, "dead_after": 400}
    plain = share_of_weak_that_fire(weaken, **quick)
    assert share_of_weak_that_fire(weaken, **quick, auxk=16) > plain + 0.1


def test_a_resampled_latent_reads_and_writes_a_badly_reconstructed_sample():
    sae = start(InMemory(X), UNIT, PRESETS["topk"], 1)
    dead = np.zeros(64, bool)
    dead[[3, 7]] = True
    new = resample(sae, X, dead, torch.Generator().manual_seed(0))
    assert new.latents.tolist() == [3, 7]
    directions = torch.nn.functional.normalize(sae.centred(X), dim=1)
    match = torch.from_numpy(new.decoder) @ directions.T
    assert match.max(1).values.tolist() == pytest.approx([1, 1], abs=1e-5)
    lengths = np.linalg.norm(new.encoder, axis=1)
    alive = sae.encoder[torch.from_numpy(~dead)].norm(dim=1).mean().item()
    np.testing.assert_allclose(lengths, 0.2 * alive, rtol=1e-5)
    losses = (sae.reconstruct(X) - X).square().sum(1)
    often = [resample(sae, X, dead, torch.Generator().manual_seed(s)).decoder for s in range(200)]
    drawn = (torch.from_numpy(np.concatenate(often)) @ directions.T).argmax(1)
    weights = losses.square().double()
    expected = ((weights / weights.sum()) * losses).sum().item()
    assert losses[drawn].mean().item() == pytest.approx(expected, rel=0.15)


def test_the_geometric_median_is_where_the_unit_vectors_cancel():
    x = samples(m=300, d=8).exp()
    point = geometric_median(x)
    unit = torch.nn.functional.normalize(x - point, dim=1)
    assert unit.mean(0).norm() < 1e-4
    assert (x.mean(0) - point).norm() > 0.05
    cloud = torch.cat([torch.zeros(10, 3), torch.ones(3, 3)])
    assert geometric_median(cloud).abs().max() < 1e-3


@pytest.mark.parametrize("bias", ["mean", "geometric_median", "zero"])
def test_the_decoder_bias_starts_where_asked_for(bias):
    config = TrainingConfig(replace(PRESETS["topk"], epochs=0, bias_start=bias), (1,))
    found = train_all(X, config)[0].sae.decoder_bias
    expected = {"mean": X.mean(0), "geometric_median": geometric_median(X), "zero": 0 * X[0]}[bias]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
