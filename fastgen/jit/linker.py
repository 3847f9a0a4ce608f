"""Machine code of PTX by nvJitLink: for drivers that are older than what made the PTX.

CUDA's minor version compatibility: a driver runs machine code of any CUDA of its major version.
"""


def version():
    """Of the nvJitLink at hand, such as `(13, 0)`.

    Raises:
        Exception: where there is none, of several kinds.
    """
    return _nvjitlink().version()


def cubin(ptx, capability):
    """PTX in machine code of one compute capability, in bytes.

    Raises:
        Exception: where nvJitLink is missing or cannot read the PTX.
    """
    linker, kinds = _nvjitlink(), _nvjitlink().InputType
    handle = linker.create(1, ["-arch=sm_{}{}".format(*capability)])
    try:
        linker.add_data(handle, kinds.PTX, ptx, len(ptx), "kernel")
        linker.complete(handle)
        code = bytearray(linker.get_linked_cubin_size(handle))
        linker.get_linked_cubin(handle, code)
    except linker.nvJitLinkError as error:
        log = bytearray(linker.get_error_log_size(handle))
        linker.get_error_log(handle, log)
        said = " ".join(log.decode(errors="replace").strip("\0").split())
        raise RuntimeError(f"nvJitLink: {said or error}") from error
    finally:
        linker.destroy(handle)
    return bytes(code)


def _nvjitlink():
    from cuda.bindings import nvjitlink

    return nvjitlink
