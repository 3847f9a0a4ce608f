"""What the GPU can do at most, measured in the run that its rows are measured in."""

import functools
import statistics

from benchmarks.gpu.kernels import Missing

SAMPLES = 7
CHAIN = 1000  # kernels of a graph


def measure(device):
    """Bytes a second of a copy, FLOP/s of products, seconds of an empty kernel; by name."""
    found = {}
    for name, of in (("copy", _copy), *_products(), ("node", _node), ("launch", _launch)):
        try:
            found[name] = of(device)
        except Exception as error:
            found[name] = None
            found[f"{name}_failed"] = f"{type(error).__name__}: {error}"[:200]
        device.release()
    return found


def _median(device, call, count):
    call()
    return statistics.median(device.seconds(call, count) for _ in range(SAMPLES))


def _copy(device):
    """Counting bytes read and bytes written."""
    x = device.normal((1 << (8 if device.dry else 29),), 1)
    y = device.copy(x)

    def copy():
        y[...] = x

    return 2 * x.nbytes / _median(device, copy, 5)


def _products():
    return [(name, functools.partial(_product, name)) for name in ("float32", "tf32", "bfloat16")]


def _product(precision, device):
    set_products(precision, device)
    n = 16 if device.dry else 8192
    dtype = "bfloat16" if precision == "bfloat16" and not device.dry else "float32"
    a, b = device.normal((n, n), 2, dtype), device.normal((n, n), 3, dtype)
    return 2 * n**3 / _median(device, lambda: a @ b, 3)


def set_products(precision, device):
    """How PyTorch multiplies float32 from here on."""
    if not device.dry:
        device.xp.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def _node(device):
    """Of an empty kernel in a graph that is a chain of them."""
    return _median(device, device.capture([_empty(device)] * CHAIN), 5) / CHAIN


def _launch(device):
    """Of an empty kernel, launched from Python over and over."""
    return _median(device, _empty(device), CHAIN)


def _empty(device):
    if device.dry:
        return lambda: None
    try:
        import cupy
    except ImportError:
        raise Missing("cupy, which compiles the empty kernel, is not installed") from None
    kernel = cupy.RawKernel('extern "C" __global__ void empty() {}', "empty")

    def launch():
        with cupy.cuda.ExternalStream(device.stream):
            kernel((1,), (1,), ())

    return launch
