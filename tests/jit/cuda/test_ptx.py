"""What users' functions of scalars are compiled to for GPUs, offline."""

import re

import pytest

from fastgen.jit import device_code, linker, loops, math
from fastgen.jit.cuda import ptx, target
from tests.jit.cuda.test_target import assert_no_spills

CAPABILITIES = [(8, 0), (9, 0)]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
capabilities = pytest.mark.parametrize("capability", CAPABILITIES, ids=str)


def leaky_relu(x, slope):
    return x if x > 0 else slope * x


def d_leaky_relu(x, slope, d):
    return d if x > 0 else slope * d, 0.0 if x > 0 else x * d


def all_of_math(x):
    """Every function of fastgen.jit.math."""
    sine, cosine = math.sincospi(x)
    total = math.exp(x) + math.log(x) + math.log1p(x) + math.sigmoid(x) + math.softplus(x)
    return total + math.tanh(-x) + sine * cosine


def sum_of_fourteen(a, b, c, d, e, f, g, h, i, j, k, l, m, n):  # noqa: E741
    """As many inputs as there are."""
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n


def scaled_noise(x, noise):
    return x + 2 * noise


def chosen(flag, x, y):
    return (x + y if flag else x - y), x > y


# Inputs, outputs, elements of a thread.
FUNCTIONS = {
    all_of_math: (1, 1, 4),
    leaky_relu: (2, 1, 4),
    d_leaky_relu: (3, 2, 4),
    scaled_noise: (1, 1, 4),
}


@pytest.fixture(autouse=True)
def compiler():
    if why := device_code._missing_compiler():
        pytest.skip(f"nothing here makes PTX: {why}")


def compiled(capability, function, dtypes, outputs, noise=None, fastmath=False):
    form = loops.Scalars(dtypes, None, noise)
    name, code = ptx.of_scalars(function, form, outputs, fastmath, capability)
    assert f".target sm_{capability[0]}{capability[1]}" in code
    assert re.search(rf"\.visible \.entry {name}\(", code)
    assert f"fastgen_{function.__name__}" in name
    return code


def check(code, path, capability, doubles=False):
    """Everything is inlined and in registers, and memory known to be global; floats stay narrow."""
    unwanted = r"\.local|\bcall\b|\b(?:ld|st)\.[bfsu]\d+" + ("" if doubles else r"|\.f64")
    assert re.findall(unwanted, code) == []
    assert_no_spills(code, path, "sm_{}{}".format(*capability))


@capabilities
@pytest.mark.parametrize("dtype", FLOATS)
def test_elementwise(tmp_path, capability, dtype):
    code = compiled(capability, leaky_relu, (dtype, dtype), [dtype])
    check(code, tmp_path / "code.ptx", capability, dtype == "float64")
    width = {"float32": "f32", "float64": "f64"}.get(dtype, "[bu]16")
    assert len(re.findall(rf"ld\.global\S*\.{width}", code)) >= 2
    assert re.search(rf"st\.global\.{width}", code)


@capabilities
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_all_that_elements_need_is_asked_for_first(tmp_path, capability, dtype, function):
    noise = "normal" if function is scaled_noise else None
    inputs, outputs, elements = FUNCTIONS[function]
    code = compiled(capability, function, (dtype,) * inputs, [dtype] * outputs, noise)
    elements = 2 if noise and dtype == "float64" else elements
    order = "".join(re.findall(r"\b(ld|st)\.global", code))
    assert order == "ld" * inputs * elements + "st" * outputs * elements
    first, *_, last = (found.start() for found in re.finditer(r"\bld\.global", code))
    computing = r"\b(fma|add|sub|mul|div|ex2|lg2|rcp|sqrt|setp\.\w+)\S*\.f(32|64)\b"
    assert not re.search(computing, code[first:last]) and re.search(computing, code[last:])
    check(code, tmp_path / "code.ptx", capability, dtype == "float64")


@capabilities
@pytest.mark.parametrize("dtype", FLOATS)
def test_many_inputs_leave_registers(tmp_path, capability, dtype):
    code = compiled(capability, sum_of_fourteen, (dtype,) * 14, [dtype])
    assert len(re.findall(r"ld\.global", code)) == 14  # of one element
    check(code, tmp_path / "code.ptx", capability, dtype == "float64")


@capabilities
def test_a_gradient_of_which_a_part_is_wanted(tmp_path, capability):
    dtypes = ("float32",) * 3
    whole = compiled(capability, d_leaky_relu, dtypes, ["float32", "float32"])
    part = compiled(capability, d_leaky_relu, dtypes, [None, "float32"])
    for code in whole, part:
        check(code, tmp_path / "code.ptx", capability)
    stores = [len(re.findall(r"st\.global", code)) for code in (whole, part)]
    assert stores[0] > stores[1] > 0


@capabilities
@pytest.mark.parametrize("dtype", FLOATS)
def test_all_of_math(tmp_path, capability, dtype):
    code = compiled(capability, all_of_math, (dtype,), [dtype])
    check(code, tmp_path / "code.ptx", capability, dtype == "float64")


@capabilities
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_noise(tmp_path, capability, kind, dtype):
    code = compiled(capability, scaled_noise, (dtype,), [dtype], kind)
    check(code, tmp_path / "code.ptx", capability, dtype == "float64")


@capabilities
def test_whole_numbers_and_comparisons(tmp_path, capability):
    code = compiled(capability, chosen, ("bool", "int8", "uint16"), ["int32", "bool"])
    check(code, tmp_path / "code.ptx", capability)


def test_fastmath():
    def quotient(x, y):
        return x / y

    exact, fast = (
        compiled((9, 0), quotient, ("float32",) * 2, ["float32"], fastmath=how)
        for how in (False, True)
    )
    assert "div.rn.f32" in exact and "div.full.ftz.f32" in fast


@capabilities
def test_what_made_it_is_known(capability, monkeypatch):
    """The disk has none of another numba-cuda or NVVM: the PTX of either may be too new."""
    first = ptx.made_by(capability)
    entry, code = ptx.of_nothing(capability)
    assert re.search(r"release \d+\.\d+, V\d+.*\.version \d+\.\d+", first[-1], re.DOTALL)
    other = re.sub(r"\.version \S+", ".version 7.0", code)
    monkeypatch.setattr(ptx, "of_nothing", lambda capability: (entry, other))
    assert ptx.made_by(capability) != first
    monkeypatch.undo()
    monkeypatch.setattr(target, "package_version", lambda: "0.1")
    assert ptx.made_by(capability) != first


@capabilities
def test_machine_code_by_nvjitlink(capability):
    try:
        linker.version()
    except Exception as error:
        pytest.skip(f"no nvJitLink here: {error}")
    entry, code = ptx.of_nothing(capability)
    made = linker.cubin(code.encode(), capability)
    assert made.startswith(b"\x7fELF") and entry.encode() in made
    with pytest.raises(RuntimeError, match="nvJitLink: .*Unsupported .version 99.9"):
        linker.cubin(re.sub(r"\.version \S+", ".version 99.9", code).encode(), capability)
