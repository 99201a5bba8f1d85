"""Settings of sparse autoencoders and of their training.

There are two families of presets. `HUSAI_TOPK` and `HUSAI_RELU` reproduce the code behind two of
the audited reports; each setting was read in the public repository brightlikethelight/HUSAI, and
its file and function are named beside it. `TOPK`, `BATCH_TOPK`, `RELU` and `JUMPRELU` follow the
papers that introduced them.
"""

from dataclasses import dataclass, replace
from typing import Literal

DecoderInit = Literal["unit_gaussian", "kaiming_uniform"]
BiasInit = Literal["mean", "geometric_median", "zero"]
Order = Literal["shared", "own"]


@dataclass(frozen=True)
class DictionaryConfig:
    """Settings of one sparse autoencoder and its training, without the seed.

    The loss is the squared error averaged over all entries of the batch, plus the terms of the
    architecture and of dead latents below, each averaged over samples. Several libraries sum the
    error over the d coordinates instead; the same `l1` is d times larger there. `losses.py`
    computes this loss in plain torch.
    """

    architecture: str = "topk"
    """Activation function, one of `architectures/registry.py`. `topk` keeps the k largest
    pre-activations of a sample, `batch_topk` the k·b largest of a batch of b samples (Bussmann et
    al., 2412.06410), `relu` all positive ones, and `jumprelu` those above a learned threshold per
    latent (Rajamanoharan et al., 2407.14435)."""
    n_latents: int = 1024
    """Number of latents: rows of the decoder."""
    k: int = 32
    """Active latents per sample, on average with `batch_topk`. `relu` and `jumprelu` ignore it."""
    l1: float = 0.0
    """Weight of the L1 penalty on the latents. Only `relu` reads it."""
    l0_weight: float = 0.0
    """Weight of the L0 penalty. Only `jumprelu` reads it."""
    bandwidth: float = 0.02
    """Bandwidth of the straight-through estimator of `jumprelu` (ibid. equations 11 and 12,
    rectangular kernel), in units of pre-activations. The paper uses 0.001 for samples of length
    one, which is 0.011 for samples of 128 coordinates normalized as here."""
    threshold_init: float = 0.02
    """Initial threshold of each `jumprelu` latent. Training updates its logarithm."""
    threshold_ema_decay: float = 0.99
    """Decay per step of the exponential moving average of the smallest value kept in a batch.
    `batch_topk` uses that average as its threshold at inference."""
    epochs: int = 20
    """Passes over the activations."""
    batch_size: int = 256
    """Samples per step. The last, smaller batch of an epoch is a step too."""
    learning_rate: float = 3e-4
    """Learning rate of Adam, with betas 0.9 and 0.999, epsilon 1e-8 and no weight decay."""
    warm_up_steps: int = 0
    """Steps of linear learning-rate warm-up."""
    decay_share: float = 0.0
    """Fraction of the steps, at the end, over which the learning rate decays linearly to zero."""
    sparsity_warm_up_steps: int = 0
    """Steps of linear warm-up of `l1` and `l0_weight`."""
    clip_norm: float | None = None
    """Clip the gradient to this norm, over all parameters together. The library dictionary_learning
    clips at 1; the reports do not clip."""
    decoder_init: DecoderInit = "unit_gaussian"
    """Initialization of the decoder rows: uniform on the sphere, or torch's Kaiming uniform (fan
    in, gain √2) normalized to length one."""
    tied_init: bool = True
    """Initialize the encoder as a copy of the decoder; otherwise draw it as Kaiming uniform."""
    scaled_init: bool = True
    """Scale the initial encoder by the factor that minimizes the squared error. Without it a
    dictionary with many more latents than dimensions overshoots."""
    decoder_bias: bool = True
    """Train a bias that is added to each reconstruction."""
    bias_init: BiasInit = "mean"
    """Initialization of the decoder bias: the mean activation, the geometric median (Bricken et
    al.; Gao et al.), or zero."""
    bias_before_encoder: bool = True
    """Subtract the decoder bias from a sample before encoding."""
    rectify: bool = True
    """Apply a ReLU to the k values that `topk` keeps."""
    unit_norm_decoder: bool = True
    """Normalize decoder rows to length one after each step."""
    remove_parallel_gradient: bool = True
    """Remove the component of each decoder row's gradient parallel to the row, before Adam."""
    normalize_activations: bool = True
    """Train on activations divided by the root mean square of their deviations from the mean, so
    that `l1` and the learning rate mean the same for every layer. The trained SAE works in the
    original units."""
    suppression: float = 0.0
    """Weight of HUSAI's auxiliary loss of `topk`, which suppresses inactive latents."""
    auxk: int = 0
    """Maximum number of dead latents that reconstruct each sample's error in the AuxK loss (Gao et
    al., 2406.04093, appendix A.2). 0 turns AuxK off."""
    auxk_weight: float = 1 / 32
    """Weight of the AuxK loss: the squared error of that reconstruction divided by the variance of
    its target. No gradient flows through the target."""
    dead_after: int = 10_000_000
    """Samples without firing after which AuxK treats a latent as dead; tokens in the paper."""
    resample_every: int = 0
    """Interval in steps of resampling: latents that have not fired since the last resampling get
    new rows from badly reconstructed samples (Bricken et al., 2023, appendix). 0 turns it off."""
    order: Order = "shared"
    """Order of the batches: the same for all seeds, or each seed's own."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run: several seeds of one dictionary."""

    dictionary: DictionaryConfig = DictionaryConfig()
    """The dictionary and its training."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One SAE per seed, in this order."""
    order_seed: int = 0
    """Seed of the order of batches; with order `own` combined with the SAE's seed."""
    init_seeds: tuple[int, ...] | None = None
    """Seeds of the initializations, one for each of `seeds`; by default `seeds` themselves."""
    samples: int | None = None
    """Train on the first `samples` samples; on all by default. An activation store keeps them in
    random order."""
    frozen_decoder: bool = False
    """Train the encoder and the biases only: the control with a random decoder."""
    trace_epochs: tuple[int, ...] = ()
    """Epochs after which a snapshot is recorded; 0 is before the first step."""
    trace_steps: tuple[int, ...] = ()
    """Further steps after which a snapshot is recorded."""
    trace_decoders: bool = False
    """Keep the decoders of each snapshot, S·n·d floats each."""


@dataclass(frozen=True)
class PairedConfig:
    """Settings of pairs of SAEs trained together, with a loss term that couples their decoders."""

    dictionary: DictionaryConfig = DictionaryConfig()
    """The dictionary and its training. Its `order` is not read; `order` below is."""
    pairs: tuple[tuple[int, int], ...] = ((42, 123),)
    """The two seeds of each pair."""
    weight: float = 0.0
    """Weight λ of the coupling term in the loss of each SAE."""
    regularizer: Literal["consistency", "mfr"] = "consistency"
    """Coupling term: 000's signed max cosine, or mutual feature regularization (Marks et al.,
    2411.01220)."""
    gradient: Literal["connected", "cut"] = "connected"
    """`cut` computes the term on detached weights, as 000's code did; it then has no effect."""
    initialization: Literal["own", "shared"] = "own"
    """Initialize each SAE from its own seed, or both from the first seed of the pair."""
    order: Order = "shared"
    """Order of the batches: the same for both, or each its own."""
    order_seed: int = 0
    """Seed of the order of batches."""
    trace_every_epoch: bool = True
    """Record a snapshot after each epoch; otherwise before the first step and at the end."""
    trace_decoders: bool = False
    """Keep the decoders of each snapshot."""


TOPK = DictionaryConfig(auxk=512)
"""TopK as in Gao et al. (2406.04093): tied initialization at the scale of the inputs, bias before
the encoder, ReLU on the k kept, unit-norm decoder rows, parallel gradients removed, AuxK."""

BATCH_TOPK = replace(TOPK, architecture="batch_topk")
"""BatchTopK (Bussmann et al., 2412.06410), otherwise as `TOPK`."""

RELU = DictionaryConfig(architecture="relu", l1=1e-2, resample_every=25_000)
"""ReLU with L1 as in Bricken et al. (2023, "Towards monosemanticity"): bias before the encoder,
unit-norm decoder rows, parallel gradients removed, dead latents resampled every 25,000 steps."""

JUMPRELU = DictionaryConfig(
    architecture="jumprelu",
    l0_weight=1e-3,
    bias_init="zero",
    bias_before_encoder=False,
    warm_up_steps=1000,
    sparsity_warm_up_steps=10_000,
)
"""JumpReLU (Rajamanoharan et al., 2407.14435): no bias before the encoder, tied initialization,
unit-norm decoder rows, parallel gradients removed, warm-up of learning rate and L0 as in the paper.
Two differences: the paper warms up from a tenth of the learning rate, we from zero; its Adam has a
first beta of zero, ours 0.9."""

HUSAI_TOPK = DictionaryConfig(
    decoder_init="kaiming_uniform",
    tied_init=False,
    scaled_init=False,
    decoder_bias=False,
    bias_before_encoder=False,
    rectify=False,
    remove_parallel_gradient=False,
    normalize_activations=False,
    suppression=1 / 32,
    order="own",
)
"""TopK of 001, and with order `shared` of 000.

From src/models/simple_sae.py: encoder with bias (initially zero), decoder without; both Kaiming
uniform and untied; no ReLU on the values kept (`TopKSAE.topk_activation`); decoder columns
normalized after each step (`normalize_decoder`); and the auxiliary loss (`TopKSAE.forward`),
a sample's *summed* squared error times the k largest magnitudes among the latents not kept,
summed, averaged over samples, times 1/k. The code says that it revives dead latents. It falls when
they shrink, so it suppresses them; its gradient also flows through the error, weighted by the
summed magnitudes. From scripts/train_simple_sae.py (`train_sae`): squared error averaged over
all entries; Adam with torch's defaults and rate 3e-4; no clipping; batches of 256, shuffled, the
last one kept; one global seed for initialization and order. From
scripts/experiments/stability_aware_sae.py (`train_paired_saes`): one shuffled loader for both.
"""

HUSAI_RELU = replace(HUSAI_TOPK, architecture="relu", l1=1e-3, suppression=0.0)
"""ReLU of 001, otherwise as above: L1 1e-3 on latents summed over a sample, averaged over samples
(`ReLUSAE.forward`)."""

FORMER_NAMES = {
    "start": "decoder_init",
    "tied_start": "tied_init",
    "scaled_start": "scaled_init",
    "bias_start": "bias_init",
    "threshold_start": "threshold_init",
    "threshold_memory": "threshold_ema_decay",
    "normalise_activations": "normalize_activations",
}
"""Renamed settings of `DictionaryConfig`, old name to new. Older files hold the old names."""
