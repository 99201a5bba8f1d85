"""What a dictionary is and how it is trained, as plain settings. No torch here.

Two families of presets. `HUSAI_TOPK` and `HUSAI_RELU` repeat the code behind two of the audited
reports; each fact was read in the public repository brightlikethelight/HUSAI, file and function
named beside it. `TOPK` and `RELU` follow what the literature agreed on since.
"""

from dataclasses import dataclass, replace
from typing import Literal

Architecture = Literal["topk", "batch_topk", "relu", "jumprelu"]
DecoderInit = Literal["unit_gaussian", "kaiming_uniform"]
BiasInit = Literal["mean", "geometric_median", "zero"]
Order = Literal["shared", "own"]


@dataclass(frozen=True)
class DictionaryConfig:
    """One sparse autoencoder and its training, all but the seed.

    The loss is the squared error averaged over all entries of the batch, plus the terms of the
    architecture and of dead latents below, each averaged over samples. Where the error is summed
    over the d coordinates instead, as in several libraries, the same `l1` is called d times larger.
    `losses.py` is this sentence in plain torch.
    """

    architecture: Architecture = "topk"
    """`topk` keeps the k largest pre-activations of a sample; `batch_topk` the k·b largest of a
    batch of b samples (Bussmann et al., 2412.06410); `relu` all positive ones; `jumprelu`
    those above a learned threshold of each latent (Rajamanoharan et al., 2407.14435)."""
    n_latents: int = 1024
    """Rows of the dictionary."""
    k: int = 32
    """Latents kept for each sample, with `batch_topk` on average; the others do not read it."""
    l1: float = 0.0
    """Weight of the summed latents in the loss; only `relu` reads it."""
    l0_weight: float = 0.0
    """Weight of the number of latents above their threshold; only `jumprelu` reads it."""
    bandwidth: float = 0.02
    """Width of the window about its threshold in which a `jumprelu` latent feels the threshold
    (the straight-through estimate, ibid. equations 11 and 12, rectangular kernel), in units
    of pre-activations. Theirs is 0.001 for samples of length one, so 0.011 for samples of 128
    coordinates normalised as here."""
    threshold_init: float = 0.02
    """Threshold of each `jumprelu` latent before the first step; its logarithm is what learns."""
    threshold_ema_decay: float = 0.99
    """`batch_topk` ends with one threshold for samples that come alone: the smallest value kept
    in a batch, averaged over batches with weights that fall by this factor a step."""
    epochs: int = 20
    """Passes over the activations."""
    batch_size: int = 256
    """Samples in one step; the last, smaller batch of an epoch is a step too."""
    learning_rate: float = 3e-4
    """Adam's; betas 0.9 and 0.999, epsilon 1e-8, no weight decay."""
    warm_up_steps: int = 0
    """Steps over which the learning rate rises linearly to its full value."""
    decay_share: float = 0.0
    """Share of the steps, at the end, over which the learning rate falls linearly to zero."""
    sparsity_warm_up_steps: int = 0
    """Steps over which `l1` and `l0_weight` rise linearly to their full values."""
    clip_norm: float | None = None
    """Scale the gradient of a step down to this length, all parameters taken together, where it
    is longer. The library dictionary_learning clips at 1; the reports do not."""
    decoder_init: DecoderInit = "unit_gaussian"
    """Decoder rows before the first step: uniform on the sphere, or torch's Kaiming uniform
    (fan in, gain √2), then normalised to length one."""
    tied_init: bool = True
    """The encoder starts as a copy of the decoder; otherwise as an own Kaiming uniform draw."""
    scaled_init: bool = True
    """Scale the encoder before the first step by the one factor with which reconstructions have
    the least squared error; else a dictionary with many more rows than dimensions overshoots."""
    decoder_bias: bool = True
    """Learn a vector that is added to each reconstruction."""
    bias_init: BiasInit = "mean"
    """Where that vector starts: the mean activation, the point with the least summed distance
    to all samples (Bricken et al.; Gao et al.), or zero."""
    bias_before_encoder: bool = True
    """Subtract the decoder's bias from a sample before it is encoded."""
    rectify: bool = True
    """`topk` sets negative values among the k largest to zero."""
    unit_norm_decoder: bool = True
    """Bring decoder rows back to length one after each step."""
    remove_parallel_gradient: bool = True
    """Take from each decoder row's gradient what points along the row, before Adam sees it."""
    normalize_activations: bool = True
    """Train on activations scaled to a root mean square of one after their mean is taken off,
    so that `l1` and the learning rate mean the same for every layer. The SAE that comes out
    works in the original units."""
    suppression: float = 0.0
    """Weight of HUSAI's auxiliary term of `topk`, which holds inactive latents down."""
    auxk: int = 0
    """Dead latents, at most, with which each sample's error is reconstructed (AuxK, Gao et al.,
    2406.04093, appendix A.2); 0 leaves the term out."""
    auxk_weight: float = 1 / 32
    """Weight of that reconstruction's squared error over the variance of what it has to
    reconstruct, the error of the batch, through which no gradient flows."""
    dead_after: int = 10_000_000
    """Samples without firing after which a latent counts as dead for `auxk`; theirs are tokens."""
    resample_every: int = 0
    """Steps after which latents that have not fired since the last such step start anew from
    badly reconstructed samples (Bricken et al., 2023, appendix); 0 never does."""
    order: Order = "shared"
    """Batches come in one order for all seeds, or in an order of each seed's own."""


@dataclass(frozen=True)
class TrainingConfig:
    """Several seeds of one dictionary."""

    dictionary: DictionaryConfig = DictionaryConfig()
    """The dictionary and its training."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """One SAE for each, in this order."""
    order_seed: int = 0
    """Draws the order of batches; with order `own` together with the SAE's seed."""
    init_seeds: tuple[int, ...] | None = None
    """Draw the initialisations from these seeds instead, one for each of `seeds`."""
    samples: int | None = None
    """Train on the first so many samples, which are in random order where they come from a store;
    on all if left out."""
    frozen_decoder: bool = False
    """Leave the decoder as it was drawn and train encoder and biases: the control that says
    what a random dictionary can do."""
    trace_epochs: tuple[int, ...] = ()
    """Epochs after which the trace is taken; 0 is before the first step."""
    trace_steps: tuple[int, ...] = ()
    """Steps after which it is taken too."""
    trace_decoders: bool = False
    """Keep the decoders of each traced epoch, S·n·d floats each."""


@dataclass(frozen=True)
class PairedConfig:
    """Pairs of SAEs trained side by side, with a term that draws their decoders together."""

    dictionary: DictionaryConfig = DictionaryConfig()
    """The dictionary and its training; its `order` is not read, `order` below is."""
    pairs: tuple[tuple[int, int], ...] = ((42, 123),)
    """The two seeds of each pair."""
    weight: float = 0.0
    """Weight λ of the term in the loss of each of the two."""
    regularizer: Literal["consistency", "mfr"] = "consistency"
    """000's signed max cosine, or mutual feature regularisation (Marks et al., 2411.01220)."""
    gradient: Literal["connected", "cut"] = "connected"
    """`cut` computes the term on detached weights, as 000's code did: it then has no effect."""
    initialization: Literal["own", "shared"] = "own"
    """Both start from their own seed, or both from the first seed of the pair."""
    order: Order = "shared"
    """Both see the same batches at each step, or each its own order."""
    order_seed: int = 0
    """Draws the order of batches."""
    trace_every_epoch: bool = True
    """Take the trace after each epoch; otherwise before the first step and at the end."""
    trace_decoders: bool = False
    """Keep the decoders of each traced epoch."""


TOPK = DictionaryConfig(auxk=512)
"""TopK as in Gao et al. (2406.04093): tied start at the scale of the inputs, bias before the
encoder, ReLU on the k kept, unit-norm rows without parallel gradient, AuxK with their numbers."""

BATCH_TOPK = replace(TOPK, architecture="batch_topk")
"""BatchTopK (Bussmann et al., 2412.06410), in all else as `TOPK`."""

RELU = DictionaryConfig(architecture="relu", l1=1e-2, resample_every=25_000)
"""ReLU with L1 as in Bricken et al. (2023, "Towards monosemanticity"): bias before the encoder,
unit-norm rows without parallel gradient, dead latents resampled every 25,000 steps."""

JUMPRELU = DictionaryConfig(
    architecture="jumprelu",
    l0_weight=1e-3,
    bias_init="zero",
    bias_before_encoder=False,
    warm_up_steps=1000,
    sparsity_warm_up_steps=10_000,
)
"""JumpReLU (Rajamanoharan et al., 2407.14435): no bias before the encoder, tied start, unit-norm
rows without parallel gradient, learning rate and L0 warmed up over their numbers of steps. Theirs
starts the learning rate at a tenth, ours at zero; their Adam has a first beta of zero, ours 0.9."""

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

From src/models/simple_sae.py: encoder with bias (zero at the start), decoder without; both Kaiming
uniform and untied; no ReLU on the values kept (`TopKSAE.topk_activation`); decoder columns
normalised after each step (`normalize_decoder`); and the auxiliary term (`TopKSAE.forward`),
a sample's *summed* squared error times the k largest magnitudes among the latents not kept,
summed, averaged over samples, times 1/k. Called a revival of dead latents, it lowers when they
shrink, so it suppresses them; its gradient also flows through the error, which it weighs by
the summed magnitudes. From scripts/train_simple_sae.py (`train_sae`): squared error averaged over
all entries; Adam with torch's defaults and rate 3e-4; no clipping; batches of 256, shuffled, the
last one kept; one global seed, so that it changes initialisation and order. From
scripts/experiments/stability_aware_sae.py (`train_paired_saes`): one shuffled loader for both.
"""

HUSAI_RELU = replace(HUSAI_TOPK, architecture="relu", l1=1e-3, suppression=0.0)
"""ReLU of 001: as above; L1 1e-3 on latents summed over a sample, averaged over samples
(`ReLUSAE.forward`)."""
