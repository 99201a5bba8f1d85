"""Saved SAEs are read back: all of them in our format, what `reconstruct` needs in the others.

Folders are written atomically.
"""

import errno
import json
import os
from dataclasses import asdict, replace

import pytest
import torch

from helpers.dictionaries_checkpoints import (
    BIAS,
    DECODER,
    ENCODER,
    ENCODER_BIAS,
    THRESHOLD,
    K,
    N,
    X,
)
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    FORMER_NAMES,
    HUSAI_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
    DictionaryConfig,
)
from seedstability.dictionaries.formats import folder as folders
from seedstability.dictionaries.formats.folder import load, recognize, save
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

PRESETS = {
    "topk": TOPK,
    "batch_topk": BATCH_TOPK,
    "relu": RELU,
    "jumprelu": JUMPRELU,
    "husai": HUSAI_TOPK,
    "clipped": replace(TOPK, clip_norm=1.0, learning_rate=1 / 3),
}
PARTS = ("encoder", "encoder_bias", "decoder", "decoder_bias", "threshold")


def an_sae(config: DictionaryConfig = TOPK, **parts) -> SAE:
    threshold = THRESHOLD.abs() if config.architecture in ("jumprelu", "batch_topk") else None
    ours = {
        "encoder": ENCODER,
        "encoder_bias": ENCODER_BIAS,
        "decoder": DECODER,
        "decoder_bias": BIAS,
        "threshold": torch.zeros(N) if threshold is None else threshold,
    }
    return SAE(**{**ours, **parts}, config=replace(config, n_latents=N, k=K))


@pytest.mark.parametrize("preset", PRESETS)
def test_our_format_keeps_every_setting_and_every_bit(tmp_path, preset):
    odd = torch.tensor([-0.0, 1e-42, 1 / 3, 3.4e38, -1.0])
    saved = an_sae(PRESETS[preset], decoder_bias=odd, threshold=THRESHOLD)
    save(saved, tmp_path / "sae")
    found = load(tmp_path / "sae")
    assert found.config == saved.config
    assert asdict(found.config) == asdict(saved.config)
    for name in PARTS:
        there, here = getattr(found, name), getattr(saved, name)
        assert there.dtype == torch.float32
        assert torch.equal(there.view(torch.int32), here.contiguous().view(torch.int32))


@pytest.mark.parametrize("format", ["seedstability", "saelens", "sparsify"])
def test_an_encoder_that_shares_memory_with_the_decoder_is_written(tmp_path, format):
    save(an_sae(encoder=DECODER), tmp_path / "sae", format)
    found = load(tmp_path / "sae")
    assert torch.equal(found.encoder, DECODER)
    assert torch.equal(found.decoder, DECODER)


def test_saving_is_deterministic(tmp_path):
    for name in ("a", "b"):
        save(an_sae(), tmp_path / name)
    for file in recognize(tmp_path / "a").files:
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("architecture", ["topk", "batch_topk", "relu", "jumprelu"])
def test_saelens_keeps_what_reconstruct_needs(tmp_path, architecture, centered):
    saved = an_sae(replace(PRESETS[architecture], bias_before_encoder=centered))
    save(saved, tmp_path / "sae", "saelens")
    found = load(tmp_path / "sae")
    assert recognize(tmp_path / "sae").format == "saelens"
    assert found.config.architecture == architecture
    assert architecture not in ("topk", "batch_topk") or found.config.k == K
    assert torch.equal(found.reconstruct(X), saved.reconstruct(X))


def test_sparsify_keeps_what_reconstruct_needs(tmp_path):
    saved = an_sae()
    save(saved, tmp_path / "sae", "sparsify")
    found = load(tmp_path / "sae")
    assert recognize(tmp_path / "sae").format == "sparsify"
    assert torch.equal(found.reconstruct(X), saved.reconstruct(X))


def test_sparsify_accepts_any_bias_order_without_a_bias(tmp_path):
    config = replace(TOPK, bias_before_encoder=False)
    saved = an_sae(config, decoder_bias=torch.zeros_like(BIAS))
    save(saved, tmp_path / "sae", "sparsify")
    assert torch.equal(load(tmp_path / "sae").reconstruct(X), saved.reconstruct(X))


@pytest.mark.parametrize("format", ["saelens", "sparsify"])
def test_a_threshold_that_topk_ignores_is_accepted(tmp_path, format):
    saved = an_sae(TOPK, threshold=THRESHOLD)
    save(saved, str(tmp_path / "sae"), format)
    assert torch.equal(load(str(tmp_path / "sae")).reconstruct(X), saved.reconstruct(X))


@pytest.mark.parametrize(
    ("format", "config", "parts", "message"),
    [
        ("sparsify", RELU, {}, "architecture is relu; sparsify supports topk alone"),
        ("sparsify", replace(TOPK, rectify=False), {}, "rectify is False; sparsify sets negative"),
        (
            "sparsify",
            replace(TOPK, bias_before_encoder=False),
            {},
            "bias_before_encoder is False; sparsify subtracts the bias first",
        ),
        ("saelens", replace(TOPK, rectify=False), {}, "rectify is False; SAELens sets negative"),
        ("saelens", JUMPRELU, {"threshold": THRESHOLD}, "threshold is negative; SAELens sets"),
        ("saelens", TOPK, {"decoder": DECODER * torch.nan}, "decoder contains NaN or infinity"),
        (
            "seedstability",
            TOPK,
            {"decoder": DECODER[:3]},
            "n_latents is 12; the decoder has 3 rows",
        ),
        ("seedstability", TOPK, {"encoder": ENCODER[:, :3]}, r"encoder has shape \[12, 3\], not"),
        ("dictionary_learning", TOPK, {}, "it must be one of seedstability, saelens, sparsify"),
        ("pickle", TOPK, {}, "format is 'pickle'; it must be one of"),
    ],
)
def test_unsupported_saes_are_refused_and_nothing_is_written(
    tmp_path, format, config, parts, message
):
    with pytest.raises(UserError, match=message):
        save(an_sae(config, **parts), tmp_path / "below" / "sae", format)
    assert not list(tmp_path.iterdir())


def test_only_new_or_empty_folders_are_written_to(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    (tmp_path / "linked").mkdir()
    for name in ("empty", "link", "new/below"):
        save(an_sae(), tmp_path / name)
        assert torch.equal(load(tmp_path / name).decoder, DECODER)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("empty", "file", "loop"):
        with pytest.raises(UserError, match=f"{name} exists; save an SAE to a new or"):
            save(an_sae(RELU), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert load(tmp_path / "empty").config.architecture == "topk"


def test_an_interrupted_write_leaves_no_files(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folders, "save_file", full)
    with pytest.raises(UserError, match=r"sae cannot be written \(.*No space left"):
        save(an_sae(), tmp_path / "sae")
    assert not list(tmp_path.iterdir())


def test_saved_files_have_the_mode_of_the_umask(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("")
    save(an_sae(), tmp_path / "sae")
    assert (tmp_path / "sae").stat().st_mode == (tmp_path / "plain").stat().st_mode
    for file in recognize(tmp_path / "sae").files:
        assert file.stat().st_mode == (tmp_path / "plain" / "file").stat().st_mode


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "seedstability-sae-2"}, "format is 'seedstability-sae-2'; it must be 'seedst"),
        ({"d": 6}, r"encoder has shape \[12, 5\]; the settings require \[12, 6\]"),
        ({"config": 3}, "config is 3; it must be an object of settings"),
    ],
)
def test_invalid_files_of_our_format_are_refused(tmp_path, change, message):
    _refused_when(tmp_path, lambda settings: settings | change, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 13}, "config.k is 13; it must be in 1…12"),
        ({"k": 3.0}, "config.k is 3.0; it must be a whole number"),
        ({"rectify": 1}, "config.rectify is 1; it must be true or false"),
        ({"clip_norm": "1"}, "config.clip_norm is '1'; it must be a number or null"),
        ({"architecture": "gated"}, "config.architecture is 'gated'; it must be one of topk"),
        ({"architecture": []}, r"config.architecture is \[\]; it must be one of topk"),
        ({"speed": 3}, "config.speed is 3; it must be left out: unknown setting"),
    ],
)
def test_invalid_settings_of_our_format_are_refused(tmp_path, change, message):
    def changed(settings):
        return settings | {"config": settings["config"] | change}

    _refused_when(tmp_path, changed, message)


def test_settings_of_training_that_are_missing_get_defaults(tmp_path):
    save(an_sae(), tmp_path / "sae")
    path = tmp_path / "sae" / "dictionary.json"
    settings = json.loads(path.read_text())
    del settings["config"]["resample_every"]
    path.write_text(json.dumps(settings))
    assert load(tmp_path / "sae").config == replace(TOPK, n_latents=N, k=K)
    del settings["config"]["rectify"]
    path.write_text(json.dumps(settings))
    with pytest.raises(
        UserError, match=r"dictionary\.json: required key config\.rectify is missing"
    ):
        load(tmp_path / "sae")


def test_former_names_of_settings_are_read(tmp_path):
    saved = an_sae(replace(HUSAI_TOPK, threshold_ema_decay=0.9, threshold_init=0.1))
    save(saved, tmp_path / "sae")
    path = tmp_path / "sae" / "dictionary.json"
    settings = json.loads(path.read_text())
    assert not FORMER_NAMES.keys() & settings["config"].keys()
    old = dict(settings["config"])
    for former, current in FORMER_NAMES.items():
        old[former] = old.pop(current)
    path.write_text(json.dumps(settings | {"config": old}))
    assert load(tmp_path / "sae").config == saved.config
    path.write_text(json.dumps(settings | {"config": old | {"tied_init": True}}))
    with pytest.raises(UserError, match=r"it must be left out: tied_init is given too|tied_start"):
        load(tmp_path / "sae")


def _refused_when(tmp_path, change, message):
    save(an_sae(), tmp_path / "sae")
    path = tmp_path / "sae" / "dictionary.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path / "sae")
    assert "\n" not in str(caught.value)
