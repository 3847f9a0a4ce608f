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
        RuntimeError: where nvJitLink does not know the GPU or cannot read the PTX.
        Exception: where nvJitLink is missing, of several kinds.
    """
    linker = _nvjitlink()
    try:
        handle = linker.create(1, ["-arch=sm_{}{}".format(*capability)])
    except linker.nvJitLinkError as error:  # of a GPU that is newer than it, say
        raise RuntimeError("nvJitLink: sm_{}{}: {}".format(*capability, error)) from error
    try:
        linker.add_data(handle, linker.InputType.PTX, ptx, len(ptx), "kernel")
        linker.complete(handle)
        code = bytearray(linker.get_linked_cubin_size(handle))
        linker.get_linked_cubin(handle, code)
    except linker.nvJitLinkError as error:
        raise RuntimeError(f"nvJitLink: {_log(linker, handle) or error}") from error
    finally:
        linker.destroy(handle)
    return bytes(code)


def _log(linker, handle):
    try:
        log = bytearray(linker.get_error_log_size(handle))
        linker.get_error_log(handle, log)
    except linker.nvJitLinkError:
        return ""
    return " ".join(log.decode(errors="replace").strip("\0").split())


def _nvjitlink():
    from cuda.bindings import nvjitlink

    return nvjitlink
