"""The launchers of libfastgen_core, called with the parameters that their headers declare."""

import ctypes
import functools
import re
from pathlib import Path

CSRC = Path(__file__).resolve().parents[2] / "csrc"
DECLARATION = re.compile(r"FG_API int (fg_cuda_\w+)\(([^;]*)\);")
PARAMETER = re.compile(r"(?:const )?(\w+)\s*(\*?)\s*(?:const )?(\w+)(\[\w*\])?$")
# fg_dtype.
CODES = {"float32": 0, "float64": 1, "bfloat16": 2}
SCALARS = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}


class Missing(Exception):
    """What a row needs and this library, or this machine, has not."""


class KernelError(Exception):
    """What a kernel refused, in its own words."""


@functools.cache
def declarations():
    """Parameters of each launcher, (name, ctypes type) in order, as csrc/kernels/*.h have them."""
    found = {}
    for header in sorted((CSRC / "kernels").glob("*.h")):
        text = re.sub(r"//.*", "", header.read_text(encoding="utf-8"))
        for name, parameters in DECLARATION.findall(text):
            found[name] = [_parameter(" ".join(one.split())) for one in parameters.split(",")]
    return found


def _parameter(text):
    kind, star, name, array = PARAMETER.match(text).groups()
    if star or array:
        return name, ctypes.c_void_p
    return name, SCALARS.get(kind, ctypes.c_int)  # enums are ints there


class Kernels:
    """libfastgen_core on a device."""

    def __init__(self, path, device):
        self._library, self._device = ctypes.CDLL(str(path)), device
        self._library.fg_last_error.restype = ctypes.c_char_p

    def has(self, name):
        return name in declarations() and hasattr(self._library, name)

    def bind(self, name, optional=(), **arguments):
        """A function of no arguments that launches the kernel on the device's current stream.

        Args:
            name: as in the header.
            optional: names of arguments that the kernel need not have.
            **arguments: the others by the header's names: arrays of the device, ctypes objects,
                which stay on the host, numbers and None.

        Raises:
            Missing: if the library, or the declaration, has not what is named.
        """
        if not self.has(name):
            raise Missing(f"{name} is not in the library")
        parameters = declarations()[name][1:]
        names = [parameter for parameter, _ in parameters]
        if unknown := set(arguments) - set(names) - set(optional):
            raise Missing(f"{name} has no {', '.join(sorted(unknown))}")
        if unset := [x for x in names if x not in arguments]:
            raise Missing(f"{name} wants {', '.join(unset)}")
        function = getattr(self._library, name)
        function.argtypes = [ctypes.c_void_p, *(kind for _, kind in parameters)]
        values = [self._value(arguments[x]) for x in names]
        device, library = self._device, self._library

        def launch():
            if function(device.stream, *values):
                raise KernelError(library.fg_last_error().decode())

        launch.keeps = arguments  # alive as long as they may be launched on
        return launch

    def _value(self, argument):
        if argument is None or isinstance(argument, (int, float)):
            return argument
        if isinstance(argument, (ctypes.Structure, ctypes.Array)):
            return ctypes.addressof(argument)
        return self._device.pointer(argument)


def words(*seed):
    """A seed as kernels read it, on the host."""
    return (ctypes.c_int64 * len(seed))(*seed)
