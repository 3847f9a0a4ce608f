"""The structs of csrc/kernels/optimizer_update.h and a step on lists of arrays.

NumPy alone is needed: a worker under a sanitizer loads this file.
"""

import ctypes

import numpy as np

from tests.cuda import memory as kernels

RULES = {"sgd": 0, "rmsprop": 1, "adam": 2, "nadam": 3}
CLIPS = {"nothing": 0, "value": 1, "norm": 2, "global_norm": 3}
DTYPES = {"float32": 0, "float64": 1}


class Optimizer(ctypes.Structure):
    """fg_optimizer."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("rule", "variation", "clip")),
        *(
            (name, ctypes.c_double)
            for name in (
                *("learning_rate", "momentum", "rho", "epsilon", "weight_decay", "clip_at"),
                *("loss_scale", "ema_momentum"),
            )
        ),
        *(
            (name, ctypes.c_int64)
            for name in ("ema_overwrite_frequency", "accumulation_steps", "iterations")
        ),
        ("u_product", ctypes.c_void_p),
        ("u_product_dtype", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("device_iterations", "device_learning_rate")),
        ("device_learning_rate_dtype", ctypes.c_int),
    )


class Tensor(ctypes.Structure):
    """fg_optimizer_tensor."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("dtype", "decays")),
        ("size", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("variable", "gradient")),
        ("slots", ctypes.c_void_p * 3),
        *((name, ctypes.c_void_p) for name in ("average", "accumulator")),
    )


def optimizer_of(options, pointer):
    """The struct of an optimizer's options; `pointer(array)` is where an array lies."""
    options = {"accumulation_steps": 1, **options}
    arrays = {
        name: options.pop(name)
        for name in ("u_product", "device_iterations", "device_learning_rate")
        if name in options
    }
    rule, clip = RULES.get(options.pop("rule"), -1), CLIPS[options.pop("clip", "nothing")]
    it = Optimizer(rule=rule, clip=clip, **options)
    for name, array in arrays.items():
        setattr(it, name, pointer(array))
        if name != "device_iterations":
            setattr(it, f"{name}_dtype", DTYPES.get(array.dtype.name, 9))
    return it


def tensor_of(arrays, pointer):
    """The struct of a dict of arrays: variable and, where there are such, the others."""
    variable = arrays["variable"]
    names = ("variable", "gradient", "average", "accumulator")
    it = Tensor(
        dtype=DTYPES.get(variable.dtype.name, 9),
        size=variable.size,
        decays=arrays.get("decays", True),
        **{name: pointer(arrays[name]) for name in names if arrays.get(name) is not None},
    )
    for i, slot in enumerate(arrays.get("slots", ())):
        it.slots[i] = None if slot is None else pointer(slot)
    return it


def step(library, memory, options, tensors, applied):
    """Call fg_cuda_optimizer_update; `options`, `tensors` and `applied` as it left them.

    Args:
        library: the `ctypes.CDLL`.
        memory: see `tests.cuda.memory`.
        options: of fg_optimizer by name; rule and clip are words; u_product and what is on
            the device are arrays.
        tensors: dicts: variable, gradient, slots, average, accumulator, decays.
        applied: an array of one int32, or None.
    """
    places = {}

    def pointer(array):
        if id(array) not in places:
            places[id(array)] = memory.put(array)
        return memory.pointer(places[id(array)])

    def back(value):
        if isinstance(value, np.ndarray):
            return memory.get(places[id(value)], value) if id(value) in places else value
        if isinstance(value, dict):
            return {name: back(x) for name, x in value.items()}
        return [back(x) for x in value] if isinstance(value, (list, tuple)) else value

    optimizer = optimizer_of(options, pointer)
    structs = (Tensor * len(tensors))(*(tensor_of(x, pointer) for x in tensors))
    count = ctypes.c_int64(len(tensors))
    flag = None if applied is None else ctypes.c_void_p(pointer(applied))
    given = ctypes.byref(optimizer), count, structs, flag
    kernels.run(library, "fg_cuda_optimizer_update", None, *given)
    return back(options), back(tensors), back(applied)
