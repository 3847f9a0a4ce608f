"""Machine code by nvJitLink, of which only the calls are here."""

import types

import pytest

from fastgen.jit import linker


class NvJitLinkError(Exception):
    """Derived from none that callers expect, as the library's own."""


class NvJitLink:
    """Links in as many steps as the library; `failing` names those that fail."""

    nvJitLinkError = NvJitLinkError
    InputType = types.SimpleNamespace(PTX=7)
    code, log = b"\x7fELF of ", b"ptxas:  no\nsuch PTX\0"

    def __init__(self, *failing):
        self.failing, self.alive, self.given = failing, 0, None

    def _step(self, name):
        if name in self.failing:
            raise NvJitLinkError(f"{name} failed")

    def create(self, count, options):
        self._step("create")
        assert count == len(options)
        self.alive, self.options = self.alive + 1, options
        return 42

    def add_data(self, handle, kind, data, size, name):
        self._step("add_data")
        assert (handle, kind, size) == (42, 7, len(data))
        self.given = data

    def complete(self, handle):
        self._step("complete")

    def get_linked_cubin_size(self, handle):
        return len(self.code + self.given)

    def get_linked_cubin(self, handle, to):
        to[:] = self.code + self.given

    def get_error_log_size(self, handle):
        self._step("log")
        return len(self.log)

    def get_error_log(self, handle, to):
        to[:] = self.log

    def destroy(self, handle):
        self.alive -= 1


def cubin(monkeypatch, *failing):
    library = NvJitLink(*failing)
    monkeypatch.setattr(linker, "_nvjitlink", lambda: library)
    try:
        return linker.cubin(b"PTX", (12, 0)), library.options
    finally:
        assert library.alive == 0


def test_machine_code(monkeypatch):
    assert cubin(monkeypatch) == (b"\x7fELF of PTX", ["-arch=sm_120"])


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (["create"], "nvJitLink: sm_120: create failed"),  # a GPU that it does not know
        (["add_data"], "nvJitLink: ptxas: no such PTX"),
        (["complete"], "nvJitLink: ptxas: no such PTX"),
        (["complete", "log"], "nvJitLink: complete failed"),
    ],
)
def test_what_fails_is_a_runtime_error(monkeypatch, failing, said):
    with pytest.raises(RuntimeError, match=f"^{said}$") as raised:
        cubin(monkeypatch, *failing)
    assert isinstance(raised.value.__cause__, NvJitLinkError)
