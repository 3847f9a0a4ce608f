"""What nvcc makes of the kernels, on machines that have it: no GPU is needed for that."""

import functools
import os
import re
import subprocess

import pytest

from tests.cuda import build

SCRIPT = build.build_script()
NVCC = SCRIPT["find_cuda"]()
if NVCC is None:
    pytest.skip("there is no nvcc, or FASTGEN_CUDA=0", allow_module_level=True)

SOURCES = SCRIPT["cuda_sources"]()
# Launchers of what other sources compile.
HOST_ONLY = {"cublaslt", "dense", "discriminator_update", "gan_step", "mlp"}
CLEAN = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"
WIDE = r"ld\.(?:global|shared)[.\w]*\.(?:v4\.[fbu]32|v2\.[fbu]64)"


@pytest.fixture(scope="module", autouse=True)
def checkout():
    before = os.getcwd()
    os.chdir(build.ROOT)
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def reports(checkout):
    """What ptxas said of each source; compiled if it is older than its source."""
    builder, version = SCRIPT["Builder"](2), SCRIPT["cuda_version"](NVCC)
    objects = [builder.compile_cuda(source, NVCC, version) for source in SOURCES]
    paths = [path.with_suffix(".ptxas") for path in SCRIPT["results"](objects)]
    return {path.stem: path.read_text() for path in paths}


def entries(report):
    """(architecture, kernel, properties) of a ptxas report."""
    pieces = re.split(r"Compiling entry function '(\w+)' for '(sm_\w+)'", report)[1:]
    return zip(pieces[1::3], pieces[::3], pieces[2::3], strict=True)


def test_compiles_for_every_architecture(reports):
    names = {f"sm_{name}" for name in SCRIPT["cuda_architectures"]()}
    for stem, report in reports.items():
        found = {architecture for architecture, _, _ in entries(report)}
        assert found == (set() if stem in HOST_ONLY else names), stem


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_stack_and_no_spills(reports, source):
    for architecture, kernel, properties in entries(reports[source.stem]):
        assert CLEAN in properties, f"{kernel} for {architecture}: {properties}"


@pytest.fixture(scope="module")
def ptx_of(tmp_path_factory):
    """The PTX of a source, compiled once."""
    architecture = f"-arch=compute_{SCRIPT['cuda_architectures']()[-1]}"

    @functools.cache
    def compiled(source):
        path = tmp_path_factory.mktemp("ptx") / f"{source.stem}.ptx"
        flags = ["-std=c++17", "-O3", "-Icsrc", architecture, "-ptx", str(source), "-o", str(path)]
        subprocess.run([NVCC, *flags], check=True)
        return path.read_text()

    return compiled


def test_cooperative_kernels_have_dynamic_shared_memory_alone(reports):
    """The tests' CUDA on the CPU runs their blocks together, and has other memory but once."""
    found = [x for report in reports.values() for x in entries(report) if "program_kernel" in x[1]]
    assert found
    for architecture, kernel, properties in found:
        assert " bytes smem" not in properties, f"{kernel} for {architecture}: {properties}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_loads_and_stores_of_16_bytes(source, ptx_of):
    """Kernels of packs, which a number of elements above 1 in their name tells, use them."""
    for entry in re.split(r"(?=\.entry )", ptx_of(source))[1:]:
        kernel = entry.split()[1]
        if re.search(r"Li(?:2|4|8)E", kernel):
            assert re.search(WIDE, entry), f"{kernel} reads no 16 bytes at once"


def test_elements_that_are_not_averaged_are_read_and_written_in_packs(ptx_of):
    """Losses, too, and what arrives at them: floats also where logits have 16 bits."""
    (source,) = (source for source in SOURCES if source.stem == "sigmoid_cross_entropy")
    found = 0
    for entry in re.split(r"(?=\.entry )", ptx_of(source))[1:]:
        name = entry.split()[1]
        kernel = re.search(r"(scale|entropy)_each_(grad_)?kernelI.*?Li([248])E(h?)", name)
        if kernel is None:
            continue
        found += 1
        scale, bytes_ = kernel[1] == "scale", kernel[4]
        of_losses = 2 if kernel[3] == "8" else 1  # 16 bytes
        loads, stores = (2 if not scale and not bytes_ else 1), 1
        backward = scale or kernel[2]
        expected = (loads + of_losses, stores) if backward else (loads, stores + of_losses)
        accesses = re.findall(WIDE.replace("ld", "(ld|st)", 1), entry)
        assert (accesses.count("ld"), accesses.count("st")) == expected, name
    assert found == 20


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_shared_memory_has_no_generic_address(source, ptx_of):
    """Who asks for one hands it to an instruction that may be for global memory alone."""
    assert "cvta.shared" not in ptx_of(source)


@pytest.mark.parametrize("stem", ["dense_layer", "dense_transpose", "product"])
def test_tensor_cores_are_fed_asynchronously(stem, ptx_of):
    """Every kernel of tensor cores multiplies there, from copies it does not wait for."""
    (source,) = (source for source in SOURCES if source.stem == stem)
    kernels = re.split(r"(?=\.entry )", ptx_of(source))[1:]
    found = [entry for entry in kernels if "tensor_product_kernel" in entry.split()[1]]
    assert found
    for entry in found:
        shapes = set(re.findall(r"mma\.sync\.aligned\.(m16n8k\d+)", entry))
        assert shapes == ({"m16n8k8"} if "tf32" in entry else {"m16n8k16"})
        assert "cp.async.cg.shared.global" in entry and "cp.async.wait_group" in entry
        assert re.search(WIDE, entry)


def test_many_rows_are_multiplied_likewise(ptx_of):
    (source,) = (source for source in SOURCES if source.stem == "program")
    kernels = re.split(r"(?=\.entry )", ptx_of(source))[1:]
    (of_floats,) = (x for x in kernels if "program_kernelIf" in x.split()[1])
    assert "mma.sync.aligned.m16n8k8" in of_floats
    for copy in ("cp.async.cg.shared.global", "cp.async.ca.shared.global", "cp.async.wait_group"):
        assert copy in of_floats


def test_cuda_is_not_needed_to_load_the_library():
    """Its runtime is inside, hidden: the GPU wheel of TensorFlow has another version of it."""
    (library,) = (build.ROOT / "fastgen/lib").glob("libfastgen_core.so")
    for option, allowed in [("--undefined-only", ""), ("--defined-only", "fg_")]:
        said = subprocess.run(
            ["nm", "-D", option, str(library)], capture_output=True, text=True, check=True
        ).stdout
        names = [line.split()[-1] for line in said.splitlines()]
        found = [name for name in names if re.match("_*cu[dA-Z]", name)]
        assert found == [], option
        if allowed:
            assert all(name.startswith(allowed) for name in names)
            assert any(name.startswith("fg_cuda_") for name in names)
