"""eai-sparsify 1.3.3: its SparseCoder with our loop, since its own loop needs a language model.

Its loop also removes the parallel component of the decoder's gradient; that is left out in its
favor. Adam replaces its default optimizer, as for all others.
"""

import os

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

import torch
from sparsify import SparseCoder, SparseCoderConfig

from contestants import LEARNING_RATE


class Contestant:
    """The steps of its trainer on the SAE."""

    def __init__(self, x, shape, seed):
        torch.manual_seed(seed)
        config = SparseCoderConfig(num_latents=shape.latents, k=shape.k)
        self.coder = SparseCoder(shape.width, config)
        self.coder.b_dec.data = x.mean(0)
        self.adam = torch.optim.Adam(self.coder.parameters(), lr=LEARNING_RATE, fused=True)

    def train(self, batches):
        for batch in batches:
            self.coder(batch).fvu.backward()
            self.adam.step()
            self.adam.zero_grad()
            self.coder.set_decoder_norm_to_unit_norm()

    def reconstruct(self, x):
        return self.coder(x).sae_out
