"""Language models of any origin are opened by one function, or refused in one line."""

import json
import shutil
import socket

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import XLNetConfig, XLNetLMHeadModel

from audit.subjects.language_model import checkpoint
from audit.subjects.language_model.checkpoint import checked_hook, open_model, open_tokenizer
from audit.subjects.language_model.config import HUB, weights_sha256
from helpers import tiny_checkpoints as tiny
from seedstability.errors import UserError

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def made(request, tmp_path_factory):
    return request.param, tiny.save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def folder(tmp_path):
    return tiny.save(tmp_path, "gpt2")


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def of_transformers(architecture, tokens):
    """Logits, hidden states and outputs of attention and MLP as transformers computes them."""
    model, added = tiny.model(architecture), {}
    blocks = model.transformer.h if architecture == "gpt2" else model.gpt_neox.layers
    for i, block in enumerate(blocks):
        attention = block.attn if architecture == "gpt2" else block.attention
        for part, module in (("attn_out", attention), ("mlp_out", block.mlp)):
            module.register_forward_hook(
                lambda _, __, out, key=(i, part): added.update(
                    {key: out[0] if isinstance(out, tuple) else out}
                )
            )
    with torch.no_grad():
        found = model(tokens, output_hidden_states=True)
    return found.logits, found.hidden_states, added


def test_logits_and_activations_are_those_of_transformers(made):
    architecture, folder = made
    tokens = tiny.contexts()
    logits, states, added = of_transformers(architecture, tokens)
    hooks = [f"blocks.{i}.hook_{point}" for i in range(2) for point in checkpoint.POINTS]
    with torch.no_grad():
        ours, cache = open_model(str(folder)).run_with_cache(tokens, names_filter=hooks)
    torch.testing.assert_close(ours, logits, atol=1e-5, rtol=0)
    for i in range(2):
        for part in ("attn_out", "mlp_out"):
            found = cache[f"blocks.{i}.hook_{part}"]
            torch.testing.assert_close(found, added[i, part], atol=1e-5, rtol=0)
            assert found.abs().max() > 0.1
        torch.testing.assert_close(
            cache[f"blocks.{i}.hook_resid_pre"], states[i], atol=1e-5, rtol=0
        )
    torch.testing.assert_close(cache["blocks.0.hook_resid_post"], states[1], atol=1e-5, rtol=0)
    # The last hidden state comes after the final layer norm, so the parts are summed instead.
    last = states[1] + added[1, "attn_out"] + added[1, "mlp_out"]
    torch.testing.assert_close(cache["blocks.1.hook_resid_post"], last, atol=1e-5, rtol=0)


def test_models_open_in_evaluation_mode_without_gradients(made):
    model = open_model(str(made[1]))
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.parameters())


def test_the_tokenizer_is_the_one_saved_with_the_weights(made):
    text = "no graph is even"
    assert open_tokenizer(str(made[1])).encode(text).ids == tiny.tokenizer().encode(text).ids


def test_opening_draws_no_random_numbers(made):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    open_model(str(made[1]))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", HUB)
def test_hub_models_are_found_in_the_cache_at_their_revision(name, tmp_path, monkeypatch, offline):
    repository, revision = HUB[name][:2]
    place = tmp_path / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    place.mkdir(parents=True)
    tiny.save(place, name.partition("-")[0])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert open_model(name).cfg.n_layers == tiny.N_LAYERS
    assert open_tokenizer(name).token_to_id("<|endoftext|>") == 0
    assert weights_sha256(name) == revision
    assert len(revision) == 40


def test_a_missing_hub_model_is_not_downloaded_without_permission(tmp_path, monkeypatch, offline):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    refused("gpt2", r"openai-community/gpt2 .*no download is allowed here.*--profile full.*folder")


def test_a_failed_download_gives_the_reason(tmp_path, monkeypatch):
    def unreachable(*_, **options):
        assert not options["local_files_only"]
        assert options["revision"] == HUB["gpt2"].revision
        raise OSError("name resolution failed\nmore")

    monkeypatch.setattr(checkpoint, "snapshot_download", unreachable)
    with pytest.raises(UserError, match=r"cannot be fetched \(name resolution failed\)") as caught:
        open_model("gpt2", allow_download=True)
    assert "\n" not in str(caught.value)


def test_the_hash_of_a_folder_follows_its_weights(tmp_path):
    one, other = (tiny.save(tmp_path / str(seed), "gpt2", seed) for seed in (0, 1))
    assert weights_sha256(str(one)) != weights_sha256(str(other))
    again = tiny.save(tmp_path / "again", "gpt2")
    assert weights_sha256(str(one)) == weights_sha256(str(again))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-2", r"'gpt-2'; did you mean gpt2\?"),
        ("pythia-160", r"did you mean pythia-160m\?"),
        ("/no/such/folder", r"small, smollm2-135m, gpt2, pythia-160m, or the path of"),
    ],
)
def test_an_unknown_model_lists_the_known_ones(name, said):
    refused(name, said)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("config.json", r"config\.json cannot be read \(.*No such file"),
        (WEIGHTS, r"has no model\.safetensors"),
        ("tokenizer.json", r"tokenizer\.json is not there"),
    ],
)
def test_a_missing_file_is_named(folder, file, said):
    (folder / file).unlink()
    refused(str(folder), said)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("config.json", r"config\.json cannot be read"),
        (WEIGHTS, r"the weights in .* cannot be used"),
        ("tokenizer.json", r"tokenizer\.json cannot be read"),
    ],
)
def test_a_truncated_file_is_named(folder, file, said):
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    refused(str(folder), said)


def test_a_missing_weight_is_refused_instead_of_initialized(folder):
    weights = load_file(folder / WEIGHTS)
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    refused(str(folder), r"1 weights are not there, the first is .*h\.1\.mlp\.c_fc\.weight")


def test_a_non_finite_weight_is_refused(folder):
    weights = load_file(folder / WEIGHTS)
    weights["transformer.h.0.ln_1.bias"][3] = torch.nan
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    refused(str(folder), r"h\.0\.ln_1\.bias is not finite")


def test_weights_of_another_shape_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["n_embd"] *= 2
    (folder / "config.json").write_text(json.dumps(config))
    refused(str(folder), r"the weights in .* cannot be used")


def test_a_tokenizer_without_the_separator_is_refused(folder):
    text = (folder / "tokenizer.json").read_text().replace("<|endoftext|>", "<|other|>")
    (folder / "tokenizer.json").write_text(text)
    refused(str(folder), r"tokenizer\.json has no <\|endoftext\|>")


def test_an_architecture_without_hooks_is_named(folder):
    shape = XLNetConfig(vocab_size=300, d_model=32, n_layer=1, n_head=2, d_inner=32)
    XLNetLMHeadModel(shape).save_pretrained(folder)
    refused(str(folder), r"of type 'xlnet', which TransformerLens has no hooks for; give one of")


def test_a_valid_hook_point_is_accepted_without_a_checkpoint():
    assert checked_hook("blocks.3.hook_mlp_out", 4) == "blocks.3.hook_mlp_out"


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("blocks.4.hook_resid_pre", "in block 4, but the model has blocks 0 to 3"),
        ("blocks.1.resid_pre", "hook_resid_pre, hook_resid_post, hook_mlp_out, hook_attn_out"),
        ("layer1", "no hook is called 'layer1'"),
    ],
)
def test_an_unknown_hook_point_lists_the_known_ones(hook, said):
    with pytest.raises(UserError, match=said):
        checked_hook(hook, 4)


def refused(name, said):
    with pytest.raises(UserError, match=said) as caught:
        open_model(name)
    assert "\n" not in str(caught.value)


def test_the_small_model_is_opened_like_any_other(tmp_path, monkeypatch):
    shutil.copytree(tiny.save(tmp_path / "made", "gpt2"), tmp_path / "small")
    asked = []
    monkeypatch.setattr(checkpoint, "FOLDER", tmp_path / "small")
    monkeypatch.setattr(checkpoint.small, "verified_recipe", asked.append)
    assert open_model("small").cfg.d_model == tiny.D_MODEL
    assert asked == [tmp_path / "small"]
