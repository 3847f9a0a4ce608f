"""PyTorch, eager and compiled, with autograd as its users write it."""

import torch

from benchmarks.operations import OPERATIONS
from benchmarks.providers import THREADS, Provider, repeat_calls

torch.set_num_threads(THREADS)


def gaussian_sample(mean, log_var):
    return (mean + torch.exp(0.5 * log_var) * torch.randn_like(log_var),)


def gaussian_kl(mean, log_var):
    return (-0.5 * torch.sum(1 + log_var - log_var.exp() - mean.pow(2), dim=-1),)


def gaussian_sample_kl(mean, log_var):
    return *gaussian_sample(mean, log_var), *gaussian_kl(mean, log_var)


def sigmoid_cross_entropy(targets, logits):
    return (torch.nn.functional.binary_cross_entropy_with_logits(logits, targets),)


FORWARD = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}


def build(name, operation, measure):
    """The same run for "graph" and "call": PyTorch has no loop inside a graph."""
    forward, operation = FORWARD[operation], OPERATIONS[operation]
    if name == "torch_compile":
        forward = torch.compile(forward, dynamic=False)

    def step(i, *inputs):
        arguments, upstream = operation.split(inputs)
        leaves = tuple(x.detach().requires_grad_() for x in operation.leaves(arguments))
        outputs = forward(*operation.arguments(arguments, leaves))
        gradients = torch.autograd.grad(outputs, leaves, upstream)
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
