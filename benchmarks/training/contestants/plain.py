"""Plain torch: TopK with dense autograd and fused Adam."""

import torch

from contestants import LEARNING_RATE


class Contestant:
    """Tied initialization, bias before the encoder, unit-norm decoder rows."""

    def __init__(self, x, shape, seed):
        torch.manual_seed(seed)
        rows = torch.nn.functional.normalize(torch.randn(shape.latents, shape.width))
        self.k, self.decoder = shape.k, rows.clone().requires_grad_()
        self.encoder = rows.clone().requires_grad_()
        self.bias = torch.zeros(shape.latents, requires_grad=True)
        self.mean = x.mean(0).requires_grad_()
        learned = [self.encoder, self.bias, self.decoder, self.mean]
        self.adam = torch.optim.Adam(learned, lr=LEARNING_RATE, fused=True)

    def train(self, batches):
        for batch in batches:
            (self.reconstruct(batch) - batch).square().mean().backward()
            self.adam.step()
            self.adam.zero_grad()
            with torch.no_grad():
                self.decoder.div_(self.decoder.norm(dim=1, keepdim=True))

    def reconstruct(self, x):
        before = torch.relu((x - self.mean) @ self.encoder.T + self.bias)
        values, which = before.topk(self.k, sorted=False)
        return torch.zeros_like(before).scatter(1, which, values) @ self.decoder + self.mean
