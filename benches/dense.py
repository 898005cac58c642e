"""The paper's procedure in plain PyTorch, over dense rows: the baseline of the benchmarks of training and ranking.

Written as the paper states it, without anything this library does to be fast: item vectors are dense, a reverse chain
is T passes over all items with the posterior in item space, the losses of the importance sampler are noted row by row,
and the best k come from ``torch.topk``.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from diffrec import DiffRec
from diffrec.diffusion import GaussianProcess, step_embedding


class DenseDenoiser(nn.Module):
    """The multilayer perceptron over (x_t, embedding of t), with ordinary layers."""

    def __init__(self, items: int, dims: tuple[int, ...], time_embedding: int, dropout: float) -> None:
        super().__init__()
        self.time_embedding = time_embedding
        self.dropout = dropout
        self.embed = nn.Linear(time_embedding, time_embedding)
        widths = [items + time_embedding, *dims[::-1], *dims[1:], items]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        x = functional.dropout(x_t, self.dropout, self.training)
        h = torch.cat([x, self.embed(step_embedding(t, self.time_embedding))], dim=1)
        for i, layer in enumerate(self.layers):
            h = layer(h)
            if i + 1 < len(self.layers):
                h = torch.tanh(h)
        return h


class DenseDiffRec:
    """DiffRec over dense rows, with the weights of a model of this library."""

    def __init__(self, model: DiffRec) -> None:
        s, ours = model.settings, model._network.denoiser
        items, _ = ours.items_out.shape
        self.settings = s
        self.process: GaussianProcess = model._network.process
        self.denoiser = DenseDenoiser(items, s.dims, s.time_embedding, s.dropout)
        layers = self.denoiser.layers
        with torch.no_grad():
            layers[0].weight.copy_(torch.cat([ours.items_in.T, ours.step_in.weight], dim=1))
            layers[0].bias.copy_(ours.step_in.bias)
            for layer, inner in zip(layers[1:-1], ours.inner, strict=True):
                layer.load_state_dict(inner.state_dict())
            layers[-1].weight.copy_(ours.items_out)
            layers[-1].bias.copy_(ours.bias_out)
            self.denoiser.embed.load_state_dict(ours.embed_step.state_dict())

    @torch.no_grad()
    def rank(self, histories: sparse.csr_array, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k unseen items of every row and their scores."""
        self.denoiser.eval()
        items, scores = [], []
        for start in range(0, histories.shape[0], self.settings.batch_size):
            batch = histories[start : start + self.settings.batch_size]
            x_t = torch.from_numpy(batch.toarray())
            for step in range(self.process.steps - 1, -1, -1):
                t = torch.full((len(x_t),), step)
                predicted = self.process.predicted_x0(x_t, t, self.denoiser(x_t, t))
                x_t = self.process.posterior_mean(predicted, x_t, t)
            x_t[batch.nonzero()] = -torch.inf
            top = torch.topk(x_t, k)
            items.append(top.indices.numpy())
            scores.append(top.values.numpy())
        return np.concatenate(items), np.concatenate(scores)

    def train_epoch(self, histories: sparse.csr_array) -> float:
        """One epoch with importance sampling; the mean loss."""
        s, process = self.settings, self.process
        optimizer = torch.optim.AdamW(self.denoiser.parameters(), lr=s.lr, weight_decay=s.weight_decay)
        history: list[list[float]] = [[] for _ in range(s.steps)]
        self.denoiser.train()
        order = np.random.default_rng(0).permutation(histories.shape[0])
        total, batches = 0.0, 0
        for start in range(0, len(order), s.batch_size):
            x0 = torch.from_numpy(histories[order[start : start + s.batch_size]].toarray())
            probability = torch.full((s.steps,), 1.0 / s.steps)
            if all(len(losses) == 10 for losses in history):
                rms = torch.tensor([np.mean(np.square(losses)) ** 0.5 for losses in history])
                probability = 0.999 * rms / rms.sum() + 0.001 / s.steps
            t = torch.multinomial(probability, len(x0), replacement=True)
            optimizer.zero_grad()
            losses, _ = process.losses(self.denoiser, x0, t, torch.randn_like(x0), reweight=s.reweight)
            loss = (losses / (probability[t] * s.steps)).mean()
            loss.backward()
            optimizer.step()
            for step, value in zip(t, losses.detach(), strict=True):
                history[int(step)] = [*history[int(step)][-9:], float(value)]
            total += loss.item()
            batches += 1
        return total / batches
