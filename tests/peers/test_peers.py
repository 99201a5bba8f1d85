"""Checkpoints of other libraries mean here what they mean there, and ours mean there what they mean
here: each side reconstructs the same samples, to float32's rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from peers import peers_rounding
from peers.peers_random import K, fill
from seedstability.dictionaries.config import BATCH_TOPK, JUMPRELU, RELU, TOPK
from seedstability.dictionaries.foreign import ForeignSAE
from seedstability.dictionaries.formats.folder import load, recognize, save
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

# Slow where the environment has to be made: 1.8 GB, half a minute to a few.
pytestmark = pytest.mark.slow

BATCH_TOPK_K = ("batch_topk", K, True)
# What each checkpoint is here: architecture, k where it has one, bias subtracted first.
CHECKPOINTS = {
    "saelens/standard": ("relu", None, True),
    "saelens/standard_bias_only_added": ("relu", None, False),
    "saelens/standard_bf16": ("relu", None, True),
    "saelens/topk": ("topk", K, True),
    "saelens/topk_rescaled": ("topk", K, True),
    "saelens/jumprelu": ("jumprelu", None, True),
    "saelens/gated": ("jumprelu", None, True),
    "saelens/layer_norm": ("relu", None, True),
    "saelens/layer_norm_topk": ("topk", K, True),
    "saelens/constant_norm": ("jumprelu", None, True),
    "saelens/jumprelu_bf16": ("jumprelu", None, True),
    "saelens/topk_bf16": ("topk", K, True),
    "saelens/jumprelu_f16": ("jumprelu", None, True),
    "saelens/jumprelu_bias_only_added": ("jumprelu", None, False),
    "saelens/older_standard": ("relu", None, True),
    "saelens/older_topk": ("topk", K, True),
    "saelens/older_jumprelu": ("jumprelu", None, True),
    "saelens/oldest_standard": ("relu", None, True),
    "saelens/training_standard": ("relu", None, True),
    "saelens/training_standard_for_inference": ("relu", None, True),
    "saelens/training_standard_half_way": ("relu", None, True),
    "saelens/training_standard_folded": ("relu", None, True),
    "saelens/training_topk": ("topk", K, True),
    "saelens/training_topk_for_inference": ("topk", K, True),
    "saelens/training_topk_half_way": ("topk", K, True),
    "saelens/training_topk_folded": ("topk", K, True),
    "saelens/training_jumprelu": ("jumprelu", None, True),
    "saelens/training_jumprelu_for_inference": ("jumprelu", None, True),
    # theirs is 7.5 on average; the even of its neighbours
    "saelens/training_batchtopk": ("batch_topk", 8, True),
    "saelens/training_batchtopk_for_inference": ("batch_topk", 8, True),
    "saelens/training_batchtopk_half_way": ("batch_topk", 8, True),
    "saelens/training_batchtopk_folded": ("batch_topk", 8, True),
    "saelens/training_batchtopk_not_rescaled": BATCH_TOPK_K,
    "saelens/training_batchtopk_not_rescaled_for_inference": BATCH_TOPK_K,
    "saelens/training_matryoshka": BATCH_TOPK_K,
    "saelens/training_matryoshka_for_inference": BATCH_TOPK_K,
    "sparsify/topk": ("topk", K, True),
    "sparsify/topk_by_factor": ("topk", K, True),
    "sparsify/topk_multi": ("topk", K, True),
    "sparsify/topk_bf16": ("topk", K, True),
    "sparsify/topk_f16": ("topk", K, True),
    "dictionary_learning/standard": ("relu", None, True),
    "dictionary_learning/standard_april": ("relu", None, True),
    "dictionary_learning/p_anneal": ("relu", None, True),
    "dictionary_learning/topk": ("topk", K, True),
    "dictionary_learning/batchtopk": BATCH_TOPK_K,
    "dictionary_learning/batchtopk_without_threshold": BATCH_TOPK_K,
    "dictionary_learning/matryoshka": BATCH_TOPK_K,
    "dictionary_learning/jumprelu": ("jumprelu", None, False),
    "dictionary_learning/gated": ("jumprelu", None, True),
}
REFUSED = {
    "saelens/transcoder": r"architecture is 'transcoder'",
    "saelens/not_folded": r"normalize_activations is .* none without activation_scaler\.json",
    "sparsify/groupmax": r"activation is 'groupmax'; it must be topk",
    "sparsify/skip": r"skip_connection is True",
    "sparsify/transcoder": r"transcode is True",
}
WRITTEN = {
    "saelens/topk": TOPK,
    "saelens/topk_bias_only_added": replace(TOPK, bias_before_encoder=False),
    "saelens/relu": RELU,
    "saelens/jumprelu": JUMPRELU,
    "saelens/batch_topk": BATCH_TOPK,
    "sparsify/topk": TOPK,
}


@pytest.fixture(scope="session")
def ours(peers, theirs, tmp_path_factory):
    """SAEs of ours as we write them, and what the libraries make of x with them."""
    folder = tmp_path_factory.mktemp("peers") / "ours"
    for name, config in WRITTEN.items():
        save(of_ours(config), folder / name, name.split("/")[0])
    (folder / "x.npy").write_bytes((theirs / "x.npy").read_bytes())
    peers("read", folder)
    return folder


def of_ours(config) -> SAE:
    n, d = 96, 24
    parts = nn.ParameterDict(
        {
            "encoder": torch.empty(n, d),
            "encoder_bias": torch.empty(n),
            "decoder": torch.empty(n, d),
            "decoder_bias": torch.empty(d),
        }
    )
    fill(parts)
    threshold = torch.linspace(0, 1, n) if config.architecture != "topk" else torch.zeros(n)
    tensors = {name: tensor.detach() for name, tensor in parts.items()}
    return SAE(**tensors, threshold=threshold, config=replace(config, n_latents=n, k=K))


def assert_same(sae, x, reconstruction):
    x = torch.from_numpy(x)
    if isinstance(sae, ForeignSAE):
        assert_nearly_all_same(sae, x, torch.from_numpy(reconstruction))
        return
    clear = peers_rounding.decided(sae, x)
    assert clear.float().mean() > 0.95
    difference = (sae.reconstruct(x) - torch.from_numpy(reconstruction)).abs().double()
    allowed = peers_rounding.bound(sae, x)
    # A bound so loose that a wrong convention passed would be none.
    assert (allowed[clear].mean(0) < 5e-4 * sae.reconstruct(x).std(0)).all()
    assert (difference <= allowed)[clear].all()


def assert_nearly_all_same(sae, x, reconstruction):
    """In half precision products are rounded so coarsely that no bound says more; but the same
    steps in the same order give the same numbers, unless a library's kernels differ."""
    difference = (sae.reconstruct(x) - reconstruction).abs()
    size = reconstruction.std()
    assert (difference.amax(1) < 1e-5 * size).float().mean() > 0.97
    assert difference.mean() < 1e-3 * size


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_librarys_checkpoint_reconstructs_as_the_library_does(name, theirs, x):
    architecture, k, centred = CHECKPOINTS[name]
    sae = load(theirs / "read" / name)
    assert sae.config.architecture == architecture
    assert k is None or sae.config.k == k
    assert sae.config.bias_before_encoder is centred
    assert_same(sae, x, np.load(theirs / "read" / f"{name}.npy"))


def test_no_checkpoint_is_left_untested(theirs):
    for known, kind in ((CHECKPOINTS, "read"), (REFUSED, "refused")):
        there = {path.relative_to(theirs / kind).as_posix() for path in theirs.glob(f"{kind}/*/*/")}
        assert {name for name in there if not name.endswith(".npy")} == set(known)


def test_each_library_is_recognised(theirs):
    for name in CHECKPOINTS:
        assert recognize(theirs / "read" / name).format == name.split("/")[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_sae_here_can_be_is_refused(name, theirs):
    with pytest.raises(UserError, match=REFUSED[name]):
        load(theirs / "refused" / name)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_library_reads_ours_and_reconstructs_as_we_do(name, ours, x):
    assert_same(of_ours(WRITTEN[name]), x, np.load(ours / f"{name}.npy"))
