"""The rules of the house, as tests: sizes, names, imports, flags, symbols, the same stems."""

import ast
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (".py", ".cc", ".h", ".cu", ".cuh")

# A room may import from those before it, and from itself.
ROOMS = """
    cache cuda_cuts kernels native
    core data dispatch nvrtc interrupt
    ops
    jit
    diagnosis
    layers losses optimizers regularizers
    conversion models
    evaluation plots training verification
    demo profiling
    cli
"""
RANKS = {room: rank for rank, line in enumerate(ROOMS.split("\n")) for room in line.split()}


def tracked_files():
    """What git has or would take; without git, everything but what the build makes."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = done.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", "build", "lib", "__pycache__", ".git"}
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(path) for path in found if not made & set(path.parts)]
    return [Path(name) for name in names if (ROOT / name).is_file()]


FILES = tracked_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
KERNELS = sorted(path.stem for path in FILES if path.match("csrc/kernels/*.h"))
LOADING = {"device_code"}  # has an op that asks the driver, and computes nothing
OPS = sorted(
    path.stem
    for path in FILES
    if path.match("csrc/tensorflow/*.cc") and "REGISTER_OP" in (ROOT / path).read_text()
    if path.stem not in LOADING
)


# Ops of functions that users compile: fastgen.jit is their front.
COMPILED_BY_USERS = {"array_kernel", "elementwise"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def text_files():
    for path in FILES:
        try:
            yield path, read(path)
        except UnicodeDecodeError:
            continue


def test_no_source_file_reaches_400_lines():
    lengths = {str(p): len(read(p).splitlines()) for p in FILES if p.suffix in SOURCES}
    assert {name: n for name, n in lengths.items() if n >= 400} == {}


def test_no_python_function_reaches_50_lines():
    long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines >= 50:
                    long.append(f"{path}:{node.lineno} {node.name}: {lines} lines")
    assert long == []


def test_names_say_what_is_in_the_file():
    vague = {"util", "utils", "helper", "helpers", "misc", "common", "new", "v2"}
    named = [path for path in FILES for part in path.parts if Path(part).stem in vague]
    assert named == []


def fastgen_imports(path):
    """Rooms of fastgen that a file imports, at any depth; "" for the package itself."""
    for node in ast.walk(ast.parse(read(path))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            whole = node.module == "fastgen"
            names = [f"fastgen.{alias.name}" for alias in node.names] if whole else [node.module]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "fastgen":
                yield rest.split(".")[0]


def test_imports_point_downward():
    upward = []
    for path in PYTHON:
        if path.parts[0] != "fastgen" or path == Path("fastgen/__init__.py"):
            continue
        room = path.parts[1].removesuffix(".py")
        assert room in RANKS, f"{path}: give the room {room} a rank in this file"
        for target in fastgen_imports(path):
            # `import fastgen` can reach everything, so only what stands on top may.
            rank = RANKS.get(target, RANKS["demo"] - 0.5)
            if target != room and rank >= RANKS[room]:
                upward.append(f"{path} imports fastgen.{target}")
    assert upward == []


def test_no_absolute_paths():
    pattern = re.compile(r"(?<![\w.$}~-])/(?:root|work|tmp|home)/")
    found = [
        f"{path}:{number}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert [place for place in found if not place.startswith("tests/test_repo.py")] == []


def test_no_flags_that_break_numerics_or_other_machines():
    pattern = re.compile("-march=" + "native|-O" + "fast|-ffast" + "-math")
    allowed = (".md",)  # prose may say what we do not do
    found = [str(p) for p, text in text_files() if pattern.search(text) and p.suffix not in allowed]
    assert found == []


def test_setup_never_imports_tensorflow():
    for node in ast.walk(ast.parse(read(Path("setup.py")))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("tensorflow") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("tensorflow")


def test_every_direct_requirement_is_pinned():
    project = tomllib.loads(read(Path("pyproject.toml")))["project"]
    extras = project["optional-dependencies"]
    wanted = [project["dependencies"], *(extras[name] for name in ("cpu", "plots", "dev"))]
    name = re.compile(r"^[\w.-]+")
    direct = {name.match(line)[0].lower() for lines in wanted for line in lines}
    pins = [line for line in read(Path("requirements.txt")).splitlines() if line[0] != "#"]
    assert all("==" in line for line in pins)
    assert direct - {name.match(line)[0].lower() for line in pins} == set()


@pytest.mark.parametrize("stem", KERNELS)
def test_kernel_has_source_and_contract(stem):
    assert (ROOT / f"csrc/kernels/{stem}.cc").exists()
    lines = read(Path(f"csrc/kernels/{stem}.h")).splitlines()
    code = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    labels = re.findall(r"^// (\w+):", "\n".join(lines[:code]), re.MULTILINE)
    order = ["Formula", "Shapes", "Dtypes", "Error", "Edges", "Bytes", "Determinism"]
    assert [label for label in labels if label in order] == order


@pytest.mark.parametrize("stem", OPS)
def test_op_has_its_stem_at_every_station(stem):
    if stem in COMPILED_BY_USERS:
        places = "csrc/kernels/{}.cc fastgen/jit/{}.py tests/jit/test_{}.py tests/native/test_{}.cc"
        assert all((ROOT / place.format(stem)).exists() for place in places.split())
        return
    for place in ("csrc/kernels/{}.cc", "csrc/python/{}.cc", "fastgen/ops/{}.py"):
        assert (ROOT / place.format(stem)).exists()
    assert (ROOT / f"tests/ops/test_{stem}.py").exists()
    assert (ROOT / f"tests/core/test_{stem}.py").exists()
    rows = read(Path("benchmarks/case.py")) + read(Path("benchmarks/cases.py"))
    assert re.search(rf"\b{stem}\b", rows)


def test_every_op_kernel_is_seen_by_profiles():
    registered = r"REGISTER_KERNEL_BUILDER\([^;]*;"
    texts = [read(path) for path in FILES if path.match("csrc/tensorflow/*.*")]
    found = [entry for text in texts for entry in re.findall(registered, text)]
    assert found and [entry for entry in found if "Traced<" not in entry] == []


def symbols(path, *flags):
    command = ["nm", *flags, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split()[-2:] for line in done.stdout.splitlines() if line]


def built(pattern):
    paths = sorted(ROOT.glob(pattern))
    if not paths:
        pytest.skip(f"{pattern} has not been built")
    return paths


def test_core_library_exports_the_c_abi_alone():
    folder = Path(os.environ.get("FASTGEN_LIB_DIR") or ROOT / "fastgen/lib")
    if not (folder / "libfastgen_core.so").exists():
        pytest.skip("libfastgen_core has not been built")
    exported = symbols(folder / "libfastgen_core.so", "-D", "--defined-only")
    assert exported
    assert [name for _, name in exported if not name.startswith("fg_")] == []


def test_exports_are_declared_in_headers():
    headers = "\n".join(read(path) for path in FILES if path.match("csrc/*/*.h"))
    (library,) = built("fastgen/lib/libfastgen_core.so")
    exported = {name for _, name in symbols(library, "-D", "--defined-only")}
    declared = set(re.findall(r"FG_API [^;(]*?\b(fg_\w+)\(", headers))
    if not json.loads((library.parent / "build.json").read_text())["cuda"]:
        declared = {name for name in declared if not name.startswith("fg_cuda_")}
    assert exported == declared


@pytest.mark.parametrize("isa", ["avx512", "avx2"])
def test_no_code_of_an_isa_can_be_linked_into_another_path(isa):
    """The linker keeps one copy of a weak symbol: it must not be one that needs this ISA."""
    shared = [
        f"{path.name}: {name}"
        for path in built(f"build/native/{isa}/*.o")
        for kind, name in symbols(path, "--defined-only")
        if kind in "WwVvu" and f"{len(isa)}{isa}" not in name and not name.startswith("DW.ref.")
    ]
    assert shared == []


def test_build_info_has_every_field():
    (path,) = built("fastgen/lib/build.json")
    info = json.loads(path.read_text())
    assert set(info) == {"abi", "tensorflow", "isas", "cuda", "cuda_release", "compiler"}
    assert info["isas"][-1] == "baseline"
