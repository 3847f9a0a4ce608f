"""PTX of users' kernels: from the disk the second time, refused in words, asked for by dispatch."""

import types

import pytest
import tensorflow as tf

from fastgen import cache, dispatch, jit
from fastgen.jit import device_code, linker, loops
from fastgen.jit.registry import Compiled

MADE = "kernel_of_mine", ".version 8.0"


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Counts what is compiled to PTX, for a GPU of compute capability 9.0."""
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    monkeypatch.setattr(device_code, "capability", lambda: (9, 0))
    asked = []

    def of_scalars(*given):
        asked.append(given)
        return MADE

    made = types.SimpleNamespace(of_scalars=of_scalars, made_by=lambda cc: "1.0", asked=asked)
    monkeypatch.setattr(device_code.importlib, "import_module", lambda name: made)
    return made


def compiled(key, outputs=("float32",), form=None):
    kernel = jit.elementwise(lambda x: 2 * x, name="twice")
    return Compiled(kernel, key, form or loops.Scalars(("float32",)), list(outputs), None)


def code_of(one, fastmath=False):
    return device_code.code_of(one, one.kernel.py_func, fastmath)


def test_compiled_once_then_from_the_disk(compiler, tmp_path):
    assert code_of(compiled("a")) == code_of(compiled("a")) == MADE
    assert len(compiler.asked) == 1
    outputs, fastmath, capability = compiler.asked[0][2:]
    assert (outputs, fastmath, capability) == (["float32"], False, (9, 0))
    (file,) = tmp_path.glob("*.ptx")
    file.write_bytes(file.read_bytes()[:-1])  # a file that is not whole is none
    assert code_of(compiled("a")) == MADE and len(compiler.asked) == 2


def test_others_are_compiled_apart(compiler, monkeypatch):
    code_of(compiled("a"))
    code_of(compiled("b"))
    monkeypatch.setattr(device_code, "capability", lambda: (8, 0))
    code_of(compiled("a"))
    compiler.made_by = lambda capability: "2.0"
    code_of(compiled("a"))
    assert len(compiler.asked) == 4


def test_a_gradients_unwanted_outputs_are_known(compiler):
    form = loops.Scalars(("float32",) * 3, (None, "float32"))
    code_of(compiled("c", form=form), fastmath={"reassoc"})
    assert compiler.asked[0][1:4] == (form, (None, "float32"), False)  # NVVM has all or nothing


def test_linked_once_then_from_the_disk(compiler, monkeypatch):
    """Machine code of other PTX, by another nvJitLink or for another GPU is made anew."""
    asked = []
    monkeypatch.setattr(linker, "version", lambda: (13, 0))
    monkeypatch.setattr(linker, "cubin", lambda *given: asked.append(given) or b"\x7fELF\0")
    for ptx in "one", "one", "two":
        assert device_code.linked(ptx) == b"\x7fELF\0"
    assert asked == [(b"one", (9, 0)), (b"two", (9, 0))]
    monkeypatch.setattr(linker, "version", lambda: (13, 1))
    device_code.linked("two")
    monkeypatch.setattr(device_code, "capability", lambda: (8, 0))
    device_code.linked("two")
    assert len(asked) == 4


def test_where_nothing_can_be_kept(compiler, monkeypatch, tmp_path):
    file = tmp_path / "no folder"
    file.write_bytes(b"")
    monkeypatch.setenv("FASTGEN_CACHE", str(file))
    assert code_of(compiled("a")) == code_of(compiled("a")) == MADE
    assert len(compiler.asked) == 2


def test_a_user_without_a_home(compiler, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("FASTGEN_CACHE")
    monkeypatch.setattr(cache.Path, "home", no_home)
    assert code_of(compiled("a")) == code_of(compiled("a")) == MADE
    assert len(compiler.asked) == 1
    assert cache.folder().stat().st_mode & 0o777 == 0o700  # what is read from it is trusted


def test_what_numba_refuses(compiler):
    def of_scalars(*given):
        raise TypeError("no  exp\nthere")

    compiler.of_scalars = of_scalars
    one = compiled("d")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"twice: .* TypeError: no exp there. Received: \('fl"):
            device_code.register(one, one.kernel.py_func, False)
        compiler.of_scalars = None  # asked no more


def test_capability_is_the_least(monkeypatch):
    gpus = [{"compute_capability": (9, 0)}, {"compute_capability": (8, 6)}, {"device_name": "x"}]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: gpu)
    assert device_code.capability.__wrapped__() == (8, 6)
    gpus[:2] = []
    assert device_code.capability.__wrapped__() is None


def test_what_is_missing(monkeypatch):
    def nothing(name):
        raise ImportError("no numba.cuda")

    monkeypatch.setattr(device_code.importlib, "import_module", nothing)
    why = device_code._missing_compiler.__wrapped__()
    assert why == "pip install 'fastgen[cuda]': no numba.cuda"
    monkeypatch.setattr(device_code, "_missing_compiler", lambda: None)
    monkeypatch.setattr(device_code, "capability", lambda: None)
    assert "compute capability" in device_code.why_not()
    monkeypatch.setattr(device_code, "capability", lambda: (9, 0))
    assert device_code.why_not() is None


def test_the_choice_of_a_path(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    monkeypatch.setattr(dispatch, "_missing_cuda", lambda: "built without CUDA")
    jit.elementwise(lambda x: x, name="anywhere")
    jit.reduce(lambda x: x, name="on_cpus")
    for why, path in ((None, dispatch.FUSED), ("no compiler", dispatch.COMPOSITE)):
        monkeypatch.setattr(device_code, "_missing_compiler", lambda why=why: why)
        monkeypatch.setattr(device_code, "capability", lambda: (9, 0))
        choice = dispatch.choose("jit.anywhere", "float32", "GPU")
        assert choice.path == path
        assert why is None or (choice.why, choice.warn) == (
            f"not compiled for the GPU: {why}",
            True,
        )
    assert dispatch.choose("jit.on_cpus", "float32", "GPU").why == "no kernel for the GPU"
    choice = dispatch.choose("gaussian_kl", "float32", "GPU")
    assert choice.why == "not compiled for the GPU: built without CUDA"
