"""The reference loss agrees with a loop over samples, its gradients with finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.losses import Parameters, loss

S, B, D, N, K = 2, 5, 3, 7, 2
PLAIN = DictionaryConfig(n_latents=N, k=K)
DEAD = torch.zeros(S, N, dtype=torch.bool)
DEAD[0, [1, 4, 5]] = True
DEAD[1, 2] = True  # one, where `auxk` may ask for two
CONFIGS = {
    "topk": PLAIN,
    "topk_signed": replace(PLAIN, rectify=False, bias_before_encoder=False),
    "topk_without_bias": replace(PLAIN, decoder_bias=False),
    "suppression": replace(PLAIN, rectify=False, suppression=0.3),
    "suppression_rectified": replace(PLAIN, k=5, suppression=0.3),
    "auxk": replace(PLAIN, auxk=2, auxk_weight=0.4),
    "batch_topk": replace(PLAIN, architecture="batch_topk"),
    "batch_topk_auxk": replace(PLAIN, architecture="batch_topk", auxk=1, auxk_weight=0.4),
    "relu": replace(PLAIN, architecture="relu", l1=0.2),
    "jumprelu": replace(
        PLAIN, architecture="jumprelu", l0_weight=0.2, bandwidth=0.4, bias_before_encoder=False
    ),
}
SPARSITY = 0.7


def parameters(seed: int = 0) -> Parameters:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    biases = 0.3 * draw(S, N), 0.5 * draw(S, D)
    return Parameters(
        draw(S, N, D), biases[0], draw(S, N, D), biases[1], 0.2 * draw(S, N) + np.log(0.4)
    )


def batch(seed: int = 9) -> torch.Tensor:
    return torch.randn(S, B, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def forward_by_hand(p: Parameters, x: np.ndarray, config: DictionaryConfig):
    """Pre-activations, latents, mask of those kept, and errors x̂ − x of one seed."""
    bias = p.decoder_bias if config.decoder_bias else 0 * p.decoder_bias
    centered = x - bias if config.bias_before_encoder else x
    pre = np.array(
        [[row @ e + c for e, c in zip(p.encoder, p.encoder_bias, strict=True)] for row in centered]
    )
    if config.architecture == "topk":
        kept = np.array([[(row > value).sum() < config.k for value in row] for row in pre])
    elif config.architecture == "batch_topk":
        kept = np.array([[(pre > value).sum() < config.k * len(x) for value in row] for row in pre])
    elif config.architecture == "jumprelu":
        kept = pre > np.exp(p.log_threshold)
    else:
        kept = pre > 0
    latents = pre * kept
    if config.rectify or config.architecture != "topk":
        latents = np.maximum(latents, 0)
    return pre, latents, kept, latents @ p.decoder + bias - x


def loss_by_hand(p, x, config, dead, target):
    """The loss of one seed; `target` is the fixed target of AuxK."""
    pre, latents, kept, error = forward_by_hand(p, x, config)
    total = (error**2).sum() / (B * D)
    for s in range(B):
        if config.architecture == "relu":
            total += SPARSITY * config.l1 * latents[s].sum() / B
        if config.architecture == "jumprelu":
            total += SPARSITY * config.l0_weight * kept[s].sum() / B
        if config.suppression:
            inactive = sorted(abs(pre[s][~kept[s]]))[::-1][: config.k]
            total += config.suppression * (error[s] ** 2).sum() * sum(inactive) / B
    if config.auxk and dead.any():
        made = np.zeros_like(x)
        for s in range(B):
            columns = sorted(np.flatnonzero(dead), key=lambda j: -pre[s, j])[: config.auxk]
            made[s] = sum(max(pre[s, j], 0) * p.decoder[j] for j in columns)
        missing, spread = ((target - made) ** 2).sum(), ((target - target.mean(0)) ** 2).sum()
        total += config.auxk_weight * missing / spread
    return total


def of_seed(p: Parameters, seed: int) -> Parameters:
    return Parameters(*(part[seed].detach().numpy().copy() for part in p))


def gradients(p: Parameters, x, config, dead=DEAD) -> Parameters:
    leaves = Parameters(*(part.clone().requires_grad_() for part in p))
    total = loss(leaves, x, config, SPARSITY, dead).total
    return Parameters(*torch.autograd.grad(total.sum(), leaves, materialize_grads=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_agrees_with_a_loop_over_samples(name):
    config, p, x = CONFIGS[name], parameters(), batch()
    found = loss(p, x, config, SPARSITY, DEAD)
    for seed in range(S):
        mine, xs = of_seed(p, seed), x[seed].numpy()
        _, latents, _, error = forward_by_hand(mine, xs, config)
        expected = loss_by_hand(mine, xs, config, DEAD[seed].numpy(), -error)
        assert found.total[seed].item() == pytest.approx(expected, rel=1e-12)
        assert np.allclose(found.latents[seed].numpy(), latents, atol=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_agree_with_finite_differences(name):
    # The target of AuxK is fixed, so these agree only if no gradient flows through it. The gradient
    # of the threshold is an estimate; the next test covers it.
    config, p, x, step = CONFIGS[name], parameters(), batch(), 1e-6
    found = gradients(p, x, config)
    for seed in range(S):
        mine, xs, dead = of_seed(p, seed), x[seed].numpy(), DEAD[seed].numpy()
        target = -forward_by_hand(mine, xs, config)[3]
        for part, gradient in zip(mine[:4], found[:4], strict=True):
            for at in np.ndindex(part.shape):
                value, ends = part[at], []
                for moved in (value + step, value - step):
                    part[at] = moved
                    ends.append(loss_by_hand(mine, xs, config, dead, target))
                part[at] = value
                difference = (ends[0] - ends[1]) / (2 * step)
                assert gradient[seed][at].item() == pytest.approx(difference, abs=1e-7)


def test_thresholds_have_the_straight_through_gradient():
    config, p, x = CONFIGS["jumprelu"], parameters(), batch()
    found, width = gradients(p, x, config).log_threshold, config.bandwidth
    in_window = 0
    for seed in range(S):
        mine = of_seed(p, seed)
        pre, _, _, error = forward_by_hand(mine, x[seed].numpy(), config)
        for j, threshold in enumerate(np.exp(mine.log_threshold)):
            slope = 0.0
            for s in range(B):
                if abs(pre[s, j] - threshold) / width < 1 / 2:
                    in_window += 1
                    along = 2 / (B * D) * error[s] @ mine.decoder[j]
                    slope += along * -threshold / width
                    slope += SPARSITY * config.l0_weight / B * -1 / width
            assert found[seed, j].item() == pytest.approx(slope * threshold, abs=1e-12)
    assert 5 < in_window < S * B * N / 2


def test_auxk_has_gradients_on_dead_latents_alone_without_a_shared_bias():
    config, p, x = replace(CONFIGS["auxk"], bias_before_encoder=False), parameters(), batch()
    with_term, without = gradients(p, x, config), gradients(p, x, config, dead=None)
    for part, other in zip(with_term[:3], without[:3], strict=True):
        changed = (part != other).reshape(S, N, -1).any(2)
        assert not changed[~DEAD].any()
        assert changed[DEAD].any()
    assert torch.equal(with_term.decoder_bias, without.decoder_bias)


def test_auxk_is_zero_without_dead_latents():
    config, p, x = CONFIGS["auxk"], parameters(), batch()
    dead = DEAD.clone()
    dead[1] = False
    found, without = loss(p, x, config, 1.0, dead).total, loss(p, x, config).total
    assert found[1] == without[1]
    assert found[0] > without[0]


def test_auxk_is_zero_for_a_single_sample():
    # One sample has no variance.
    config, p, x = CONFIGS["auxk"], parameters(), batch()[:, :1]
    assert torch.equal(loss(p, x, config, 1.0, DEAD).total, loss(p, x, config).total)
    both = gradients(p, x, config), gradients(p, x, config, dead=None)
    for part, other in zip(*both, strict=True):
        assert torch.equal(part, other)


@pytest.mark.parametrize("k", [1, 3, N])
def test_exactly_k_latents_are_kept(k):
    p, x = parameters(), batch()
    signed = replace(PLAIN, rectify=False, k=k)
    assert ((loss(p, x, signed).latents != 0).sum(2) == k).all()
    high = p._replace(encoder_bias=p.encoder_bias + 50)
    together = replace(PLAIN, architecture="batch_topk", k=k)
    assert ((loss(high, x, together).latents != 0).sum((1, 2)) == k * B).all()


@pytest.mark.parametrize("name", ["topk", "topk_signed", "relu", "jumprelu"])
def test_latents_equal_those_of_the_sae(name):
    config, p, x = CONFIGS[name], parameters(), batch()
    found = loss(Parameters(*(part.requires_grad_() for part in p)), x, config).latents
    p = Parameters(*(part.detach() for part in p))
    for seed in range(S):
        parts = [part[seed] for part in p[:4]]
        sae = SAE(*parts, p.log_threshold[seed].exp(), config)
        assert torch.allclose(found[seed], sae.encode(x[seed]))
    assert not found.requires_grad
