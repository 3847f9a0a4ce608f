"""PyTorch, eager and compiled, with autograd as its users write it."""

import torch
from torch.nn import functional

from benchmarks.operations import CORRUPTION, OPERATIONS, SPARSITY
from benchmarks.providers import THREADS, Provider, repeat_calls

torch.set_num_threads(THREADS)


def gaussian_sample(mean, log_var):
    return (mean + torch.exp(0.5 * log_var) * torch.randn_like(log_var),)


def gaussian_kl(mean, log_var):
    return (-0.5 * torch.sum(1 + log_var - log_var.exp() - mean.pow(2), dim=-1),)


def gaussian_sample_kl(mean, log_var):
    return *gaussian_sample(mean, log_var), *gaussian_kl(mean, log_var)


def dense(x, kernel, bias):
    return (functional.relu(torch.addmm(bias, x, kernel)),)


def dense_transpose(x, kernel, bias):
    return (functional.relu(functional.linear(x, kernel, bias)),)


def sigmoid_cross_entropy(targets, logits):
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (entropy.mean(dim=-1),)


def sparsity(activations):
    p, q = SPARSITY, activations.mean(dim=0)
    return ((p * torch.log(p / q) + (1 - p) * torch.log((1 - p) / (1 - q))).sum(),)


def swish(x, steepness):
    return (x * torch.sigmoid(steepness * x),)


def gaussian_noise(x):
    return (x + CORRUPTION * torch.randn_like(x),)


def dropout(x):
    return (functional.dropout(x, CORRUPTION),)


FORWARD = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
    "dense": dense,
    "dense_transpose": dense_transpose,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "sparsity": sparsity,
    "swish": swish,
    "swish_forward": swish,
    "gaussian_noise": gaussian_noise,
    "dropout": dropout,
}


def build(name, operation, measure):
    """The same run for "graph" and "call": PyTorch has no loop inside a graph."""
    forward = FORWARD[operation]
    if name == "torch_compile":
        forward = torch.compile(forward, dynamic=False)

    operation = OPERATIONS[operation]

    def step(i, *inputs):
        inputs, at, upstream = operation.split(inputs)
        if not at:
            with torch.no_grad():
                return forward(*inputs)
        inputs = [x.detach().requires_grad_(j in at) for j, x in enumerate(inputs)]
        outputs = forward(*inputs)
        gradients = torch.autograd.grad(outputs, [inputs[j] for j in at], upstream)
        return *(output.detach() for output in outputs), *gradients

    return repeat_calls(step, operation)


def put(arrays):
    return tuple(torch.from_numpy(array.copy()) for array in arrays)


def get(outputs):
    return tuple(output.numpy() for output in outputs)


PROVIDERS = {
    name: Provider(name, build, put, get, f"torch {torch.__version__}")
    for name in ("torch", "torch_compile")
}
