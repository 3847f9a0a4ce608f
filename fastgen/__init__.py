"""Fast kernels for autoencoders, VAEs and GANs, as TensorFlow ops and Keras 3 layers.

Importing fastgen is cheap and cannot fail for want of TensorFlow, a compiler or a GPU: whatever
needs one of them loads when it is first touched.
"""

import importlib
import importlib.util
import warnings

__version__ = "0.1.0"

_MODULES = (
    "core",
    "data",
    "demo",
    "dispatch",
    "evaluation",
    "layers",
    "models",
    "native",
    "ops",
    "plots",
    "training",
)
_FUNCTIONS = {"doctor": "dispatch", "portable": "dispatch", "stats": "dispatch"}

__all__ = ["__version__", *_MODULES, *_FUNCTIONS]

if importlib.util.find_spec("tensorflow") is None:
    warnings.warn(
        "fastgen found no TensorFlow, which its ops and layers need. "
        "On a CPU: pip install 'fastgen[cpu]'; with an NVIDIA GPU: pip install 'fastgen[gpu]'.",
        RuntimeWarning,
        stacklevel=2,
    )


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS:
        module = importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
