"""Where arrays lie and how time is taken there: a GPU by PyTorch or, in a dry run, the CPU.

Both have `xp`, PyTorch or NumPy: references in float64 are written in what the two share.
"""

import contextlib
import time

import numpy as np


class Cuda:
    """The current GPU: tensors of PyTorch, CUDA events and graphs, on PyTorch's streams."""

    dry = False
    target = 4e-3  # seconds of one sample: events are good to a microsecond
    trials = 3  # calls that are warmed up with, and as many to see how long one takes
    least = 256 << 20  # bytes of inputs that rows of bandwidth rotate through: five L2s

    def __init__(self):
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError("PyTorch sees no GPU")
        self.xp = self._torch = torch
        self.stream = 0  # the handle that our kernels are launched on
        torch.cuda.init()

    def normal(self, shape, seed, dtype="float32"):
        generator = self._torch.Generator("cuda").manual_seed(seed)
        drawn = self._torch.randn(shape, generator=generator, device="cuda")
        return drawn.to(getattr(self._torch, dtype))

    def uniform(self, shape, seed):
        generator = self._torch.Generator("cuda").manual_seed(seed)
        return self._torch.rand(shape, generator=generator, device="cuda")

    def poisoned(self, shape, dtype="float32"):
        """An array that is NaN wherever nothing is written."""
        dtype = getattr(self._torch, dtype)
        return self._torch.full(shape, float("nan"), dtype=dtype, device="cuda")

    def put(self, array):
        return self._torch.from_numpy(np.ascontiguousarray(array)).cuda()

    def get(self, array):
        return array.detach().double().cpu().numpy()

    def wide(self, array):
        return array.detach().double()

    def copy(self, array):
        return array.clone()

    def native(self, array):
        """An array of any framework as one of the device's own."""
        return array if isinstance(array, self._torch.Tensor) else self._torch.from_dlpack(array)

    def pointer(self, array):
        return array.data_ptr()

    def to_torch(self, array):
        return array

    def to_jax(self, array):
        import jax

        return jax.dlpack.from_dlpack(array)

    def wait(self):
        self._torch.cuda.synchronize()

    def seconds(self, call, count, finish=None):
        """Of a call, in `count` of them; by the host's clock where `finish` waits for their end."""
        if finish is not None:
            self.wait()
            start = time.perf_counter()
            for _ in range(count):
                call()
            finish()
            self.wait()
            return (time.perf_counter() - start) / count
        start, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(count):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / count

    def capture(self, calls):
        """A CUDA graph of the calls in turn; calling the result replays it."""
        torch = self._torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), self._launching_on(side):
            for call in calls[:3]:
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side), self._launching_on(side):
            for call in calls:
                call()
        return graph.replay

    @contextlib.contextmanager
    def _launching_on(self, stream):
        before, self.stream = self.stream, stream.cuda_stream
        try:
            yield
        finally:
            self.stream = before

    def release(self):
        self._torch.cuda.empty_cache()


class DryRun:
    """NumPy arrays and kernels compiled for the CPU. Its times are of nothing."""

    dry = True
    target = 0
    trials = 1
    least = 0
    stream = 0
    xp = np

    def normal(self, shape, seed, dtype="float32"):
        return np.random.default_rng(seed).standard_normal(shape).astype(_numpy(dtype))

    def uniform(self, shape, seed):
        return np.random.default_rng(seed).random(shape, "float32")

    def poisoned(self, shape, dtype="float32"):
        return np.full(shape, np.nan, _numpy(dtype))

    def put(self, array):
        return np.ascontiguousarray(array)

    def get(self, array):
        return np.asarray(array, "float64")

    def wide(self, array):
        return np.asarray(array, "float64")

    def copy(self, array):
        return array.copy()

    def native(self, array):
        if hasattr(array, "detach"):
            array = array.detach()
            array = array.float() if array.element_size() == 2 else array
        return np.array(array)

    def pointer(self, array):
        return array.ctypes.data

    def to_torch(self, array):
        import torch

        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(array)

    def to_jax(self, array):
        import jax

        return jax.numpy.asarray(array)

    def wait(self):
        pass

    def seconds(self, call, count, finish=None):
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    def capture(self, calls):
        def replay():
            for call in calls:
                call()

        replay()
        return replay

    def release(self):
        pass


def _numpy(dtype):
    if dtype != "bfloat16":
        return dtype
    import ml_dtypes

    return ml_dtypes.bfloat16
