"""Random checkpoints with the architectures of the hub models, small enough for a test."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from audit.subjects.language_model.text import train_tokenizer

N_LAYERS, D_MODEL, CONTEXT = 2, 32, 24
TEXT = ["the sum of two even numbers is even", "def add(a, b): return a + b", "no graph is a tree"]
ARCHITECTURES = ("gpt2", "pythia")


def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXT * 4, 300)


def model(architecture: str, seed: int = 0) -> GPT2LMHeadModel | GPTNeoXForCausalLM:
    n_tokens = tokenizer().get_vocab_size()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = _gpt2(n_tokens) if architecture == "gpt2" else _pythia(n_tokens)
        # In transformers' initialization biases are 0 and the output of a block is negligible.
        for parameter in made.parameters():
            parameter.data.normal_(std=0.3)
    return made.eval()


def save(folder: Path, architecture: str, seed: int = 0) -> Path:
    """Save config, weights and tokenizer of a checkpoint; return the folder."""
    model(architecture, seed).save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def contexts(count: int = 3, length: int = 16, seed: int = 0) -> torch.Tensor:
    """Random tokens [count, length], the separator first."""
    generator = torch.Generator().manual_seed(seed)
    size = (count, length)
    tokens = torch.randint(1, tokenizer().get_vocab_size(), size, generator=generator)
    tokens[:, 0] = tokenizer().token_to_id("<|endoftext|>")
    return tokens


def _gpt2(n_tokens: int) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=n_tokens, n_positions=CONTEXT, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=2
        )
    )


def _pythia(n_tokens: int) -> GPTNeoXForCausalLM:
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=n_tokens,
            max_position_embeddings=CONTEXT,
            hidden_size=D_MODEL,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=2,
            intermediate_size=4 * D_MODEL,
        )
    )
