"""Fast kernels for autoencoders, VAEs and GANs, as TensorFlow ops and Keras 3 layers.

Importing fastgen is cheap and cannot fail for want of TensorFlow, a compiler or a GPU: whatever
needs one of them loads when it is first touched.

As soon as both fastgen and TensorFlow are imported, in either order, the fused ops are registered;
with Keras, the layers and models, too. So `import fastgen` is all that a new process needs to load
what was saved in another one, `.keras` or SavedModel.
"""

import contextlib
import importlib
import importlib.util
import warnings

__version__ = "0.1.0"

_MODULES = (
    "conversion",
    "core",
    "data",
    "demo",
    "diagnosis",
    "dispatch",
    "evaluation",
    "jit",
    "layers",
    "losses",
    "models",
    "native",
    "ops",
    "optimizers",
    "plots",
    "profiling",
    "regularizers",
    "training",
    "verification",
)
_FUNCTIONS = {
    "GAN": "models",
    "convert": "conversion",
    "doctor": "diagnosis",
    "parity": "verification",
    "portable": "dispatch",
    "profile": "profiling",
    "stats": "dispatch",
    "train_gan": "training",
}

__all__ = ["__version__", *_MODULES, *_FUNCTIONS]

if importlib.util.find_spec("tensorflow") is None:
    warnings.warn(
        "fastgen found no TensorFlow, which its ops and layers need. "
        "On a CPU: pip install 'fastgen[cpu]'; with an NVIDIA GPU: pip install 'fastgen[gpu]'.",
        RuntimeWarning,
        stacklevel=2,
    )


def _import_after(module, name):
    """Imports fastgen's module `name` once `module` is imported; now, if it is already."""
    try:
        from wrapt import register_post_import_hook
    except ImportError:
        return  # a bare Python: nor are TensorFlow and Keras here

    def import_it(_):
        # An error would end the import of another package. Whoever touches the module is told.
        with contextlib.suppress(Exception):
            importlib.import_module(f"{__name__}.{name}")

    register_post_import_hook(import_it, module)


_import_after("tensorflow", "ops")
_import_after("keras", "layers")
_import_after("keras", "losses")
_import_after("keras", "regularizers")
_import_after("keras", "optimizers")
# Not after Keras: if fastgen.layers is what imports Keras, the models would find it half imported.
_import_after(f"{__name__}.layers", "models")


def _core():
    try:
        return importlib.import_module(f"{__name__}.core")
    except ImportError as error:
        if not error.path:  # raised by core.py, with all there is to say
            raise
        command = importlib.import_module(f"{__name__}.native").rebuild_command()
        raise ImportError(f"fastgen.core does not load: {error}. Build it: {command}") from error


def __getattr__(name):
    if name == "core":
        return _core()
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS:
        module = importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
