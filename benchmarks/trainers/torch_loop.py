"""PyTorch: the usual loop over shuffled batches, eager or with the loss compiled."""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, linear, selu

from benchmarks.providers import THREADS
from benchmarks.trainers import Trainer
from benchmarks.vae import CODINGS, LEARNING_RATE


def decode(w, z):
    return linear(selu(linear(selu(linear(z, w[8], w[9])), w[10], w[11])), w[12], w[13])


def vae_loss(w, x):
    hidden = selu(linear(selu(linear(x, w[0], w[1])), w[2], w[3]))
    mean, log_var = linear(hidden, w[4], w[5]), linear(hidden, w[6], w[7])
    z = mean + torch.exp(log_var / 2) * torch.randn_like(mean)
    kl = -0.5 * torch.sum(1 + log_var - torch.exp(log_var) - mean**2)
    bce = binary_cross_entropy_with_logits(decode(w, z), x, reduction="sum")
    return (bce + kl) / len(x)


def build(name, weights):
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    w = [
        torch.tensor(value.T.copy() if value.ndim == 2 else value, requires_grad=True)
        for value in weights
    ]
    optimizer = torch.optim.NAdam(w, LEARNING_RATE, eps=1e-7, momentum_decay=1, foreach=True)
    loss_of = torch.compile(vae_loss, dynamic=False) if name == "torch_compile" else vae_loss

    def epoch(images, batch_size):
        x, total = torch.from_numpy(images), 0.0
        for rows in torch.randperm(len(x)).split(batch_size):
            loss = loss_of(w, x[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / len(x)

    @torch.no_grad()
    def loss(images):
        return float(vae_loss(w, torch.from_numpy(images)))

    @torch.no_grad()
    def generate(count):
        return np.asarray(torch.sigmoid(decode(w, torch.randn(count, CODINGS))))

    return Trainer(name, epoch, loss, generate)
