"""Run in the peers' environment: dictionary_learning trains some steps, which is how it saves."""

import torch
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.gdm import GatedSAETrainer
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
from dictionary_learning.trainers.p_anneal import PAnnealTrainer
from dictionary_learning.trainers.standard import StandardTrainer, StandardTrainerAprilUpdate
from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import trainSAE
from dictionary_learning.utils import load_dictionary
from peers_random import D, K, N, fill

STEPS = 4
SPARSE = {"k": K, "warmup_steps": 0, "threshold_start_step": 1}
DENSE = {"warmup_steps": 0, "sparsity_warmup_steps": 0}
KINDS = {
    "standard": (StandardTrainer, DENSE),
    "standard_april": (StandardTrainerAprilUpdate, DENSE),
    "p_anneal": (PAnnealTrainer, {**DENSE, "sparsity_function": "Lp", "anneal_start": 1}),
    "topk": (TopKTrainer, SPARSE),
    "batchtopk": (BatchTopKTrainer, SPARSE),
    "batchtopk_without_threshold": (BatchTopKTrainer, {**SPARSE, "threshold_start_step": 1000}),
    "matryoshka": (MatryoshkaBatchTopKTrainer, {**SPARSE, "group_fractions": [0.25, 0.75]}),
    "jumprelu": (JumpReluTrainer, {**DENSE, "target_l0": K}),
    "gated": (GatedSAETrainer, DENSE),
}


def write(folder):
    """A checkpoint under each name; yields the name and who reconstructs."""
    for name, (trainer, settings) in KINDS.items():
        train(trainer, settings, folder(name))
        yield name, load_dictionary(str(folder(name)), device="cpu")[0]


def write_refused(folder):
    """All that this library trains is read."""


def train(trainer, settings, folder):
    def filled(**told):
        made = trainer(**told)
        fill(made.ae)
        return made

    config = {
        "trainer": filled,
        "steps": STEPS,
        "activation_dim": D,
        "dict_size": N,
        "layer": 0,
        "lm_name": "none",
        "device": "cpu",
        **settings,
    }
    generator = torch.Generator().manual_seed(1)
    batches = [torch.randn(64, D, generator=generator) for _ in range(STEPS + 1)]
    parent = folder.with_name(f"{folder.name}-run")
    trainSAE(batches, [config], steps=STEPS, save_dir=str(parent), device="cpu")
    (parent / "trainer_0").rename(folder)
    parent.rmdir()
