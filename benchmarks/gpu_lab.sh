#!/usr/bin/env bash
# Builds the CUDA kernels, checks them and times them on this machine's GPU, in stages:
#   core        environment, build without TensorFlow, tests/cuda on the GPU, ceilings, rows with peers
#   tools       compute-sanitizer (memcheck, racecheck) on small shapes, ncu on three kernels
#   tensorflow  tests/gpu and rows through Keras, where TensorFlow is, or FASTGEN_TF_PARTS has it
# Usage: benchmarks/gpu_lab.sh [--dry-run] [--out FOLDER] [--seconds N] [STAGE...]
# Default: core, into $OUT or benchmarks/results/h200, in 570 seconds; FASTGEN_LAB_ROWS: some, by commas.
# Each piece has a time limit of its own, results are on the disk line by line, and a table comes last,
# also after a kill. A dry run does all but what needs a GPU, on the CPU, and writes no times.
set -u -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$(command -v "${PYTHON:-python3}") || { echo "gpu_lab.sh: no ${PYTHON:-python3}" >&2; exit 2; }
[[ $python == /* ]] || python=$PWD/$python
dry= out= budget=570 stages=()
while (($#)); do
  case $1 in
    --dry-run) dry=1 ;; # also the number of its runs
    --out | --seconds)
      (($# > 1)) || { echo "gpu_lab.sh: $1 needs a value" >&2; exit 2; }
      if [[ $1 == --out ]]; then out=$2; else budget=$2; fi
      shift ;;
    core | tools | tensorflow) stages+=("$1") ;;
    -h | --help) sed -n '2,9s/^# //p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "gpu_lab.sh: expected --dry-run, --out, --seconds, core, tools or tensorflow. Received: $1" >&2
       exit 2 ;;
  esac
  shift
done
if [[ ! $budget =~ ^[1-9][0-9]*$ ]]; then
  echo "gpu_lab.sh: --seconds needs a whole number above 0. Received: $budget" >&2
  exit 2
fi
((${#stages[@]})) || stages=(core)
if [[ ${FASTGEN_LAB_ROWS:-} ]]; then # a misspelled one is found before the build, not after it
  (cd "$root" && "$python" -c 'import sys; from benchmarks.gpu.rows import choose
choose([name for name in sys.argv[1].split(",") if name])' "$FASTGEN_LAB_ROWS") || exit 2
fi
results=$root/benchmarks/results/h200
if [[ $dry ]]; then out=${out:-$root/build/gpu_lab/dry-run}; else out=${out:-${OUT:-$results}}; fi
mkdir -p "$out" && out=$(cd "$out" && pwd)
if [[ $dry && $out == "$results"* ]]; then
  echo "gpu_lab.sh: a dry run measures nothing: --out must not be in $results" >&2
  exit 2
fi
work=$root/build/gpu_lab
tree=$work/tree
mkdir -p "$work"
exec > >(trap '' INT TERM; exec tee -a "$out/log.txt") 2>&1 # the table goes through it after Ctrl-C
log=$!
cd "$root" || exit 1

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 FASTGEN_CUDA_ARCHITECTURES
FASTGEN_CUDA_ARCHITECTURES=${FASTGEN_CUDA_ARCHITECTURES:-90a}
[[ $dry ]] && export FASTGEN_DRY_RUN=1
# What compilers of peers make is found again by the next process.
export TORCHINDUCTOR_CACHE_DIR=$work/cache/inductor TRITON_CACHE_DIR=$work/cache/triton
export JAX_COMPILATION_CACHE_DIR=$work/cache/jax CUPY_CACHE_DIR=$work/cache/cupy
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
lines= running= preparing=

finish() {
  trap - EXIT TERM INT
  for process in $running $preparing; do kill "$process" 2>/dev/null; done
  echo
  $python -m benchmarks.gpu.table "$out" | tee "$out/table.txt"
  exec >&- 2>&-
  wait "$log" # has written the last line
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

left() { echo $((budget - SECONDS)); }

# piece NAME SECONDS COMMAND...: within its time and ours. What became of it is a line of the results.
piece() {
  local name=$1 most=$2 started=$SECONDS code=0 outcome=ok
  shift 2
  ((most < $(left) - 10)) || most=$(($(left) - 10))
  if ((most < 5)); then
    outcome="no time left" code=1
  else
    echo "== $name, at most $most s"
    timeout --kill-after=10 "$most" "$@" &
    running=$!
    wait "$running" || code=$?
    running=
    case $code in
      0) ;;
      124 | 137) outcome="killed after $most s" ;;
      *) outcome="exit code $code" ;;
    esac
  fi
  echo "== $name: $outcome"
  printf '{"kind": "piece", "dry_run": %s, "name": "%s", "outcome": "%s", "seconds": %d}\n' \
    "$([[ $dry ]] && echo true || echo false)" "$name" "$outcome" $((SECONDS - started)) >>"$lines"
  return $code
}

copy_tree() {  # what has changed, so that nothing else is compiled anew
  local path
  find csrc fastgen tests benchmarks setup.py pyproject.toml conftest.py README.md LICENSE \
    \( -name __pycache__ -o -path fastgen/lib -o -name '*.so' \) -prune -o -type f -print |
    while IFS= read -r path; do
      cmp -s "$path" "$tree/$path" || { mkdir -p "$(dirname "$tree/$path")" && cp "$path" "$tree/$path"; }
    done
}

build_native() {
  copy_tree
  # The CPU kernels are not timed here.
  cd "$tree" && CXXFLAGS="-O1 ${CXXFLAGS:-}" FASTGEN_CUDA=1 \
    $python setup.py --quiet build_ext --inplace -j"$(nproc)"
}

build_on_cpu() {
  $python -c 'from tests.cuda import build; print(build.plain())' | tail -n 1 >"$work/library"
}

build() {
  if [[ $dry ]]; then
    export -f build_on_cpu && export python work
    piece build 240 bash -o pipefail -c build_on_cpu && library=$(<"$work/library")
  else
    export -f build_native copy_tree && export python tree
    piece build 300 bash -o pipefail -c build_native && library=$tree/fastgen/lib/libfastgen_core.so
  fi
}

# Peers are compiled while we are; their cache is what is wanted.
prepare() {
  [[ $dry ]] && return
  $python -m benchmarks.gpu.lab --rows "${FASTGEN_LAB_ROWS:-}" --lines "$work/prepared.jsonl" \
    --seconds 150 -- --untimed >"$work/prepared.log" 2>&1 &
  preparing=$!
}

await_peers() {
  [[ $preparing ]] || return 0
  local until=$((SECONDS + 60))
  while kill -0 "$preparing" 2>/dev/null && ((SECONDS < until)); do sleep 1; done
  kill "$preparing" 2>/dev/null
  preparing=
}

tests_of_kernels() {
  local name pytest=("$python" -m pytest tests/cuda -p no:cacheprovider)
  # Those that need no GPU.
  for name in gpu_ops machine_code; do pytest+=(--ignore "tests/cuda/test_$name.py"); done
  if [[ $dry ]]; then
    piece tests 60 env FASTGEN_CUDA_TEST=gpu "${pytest[@]}" -qq --collect-only
  elif [[ $library ]]; then
    # A fault of the GPU ends all tests of its process: the files are in several.
    $python -c 'import xdist' && pytest+=(-n 8 --dist loadfile)
    piece tests 150 env -C "$tree" FASTGEN_CUDA_TEST=gpu PYTHONPATH="$tree" \
      "${pytest[@]}" -q -rf --tb=short --maxfail 60
  fi
}

core() {
  $python -m benchmarks.gpu.environment >>"$lines"
  [[ $dry ]] || nvidia-smi || echo "no nvidia-smi"
  prepare
  library=
  build
  tests_of_kernels
  await_peers
  local seconds where=$root
  seconds=$(($(left) - 20))
  [[ ! $dry && $library ]] && where=$tree # fastgen.core is there
  piece rows "$((seconds + 10))" env -C "$where" PYTHONPATH="$where" $python -m benchmarks.gpu.lab --rows "${FASTGEN_LAB_ROWS:-}" \
    --lines "$lines" --seconds "$seconds" --runs ${dry:-2} -- ${dry:+--dry-run} \
    ${library:+--library "$library"}
}

checked_rows=sample_kl_forward,sample_kl_backward,cross_entropy,tied_tf32,tied_strict,tied_bfloat16
checked_rows=${FASTGEN_LAB_ROWS:-$checked_rows,tied_cross_entropy,adam_100m,discriminator_32_float32}
profiled_rows=${FASTGEN_LAB_ROWS:-sample_kl_forward,tied_tf32,discriminator_4096_float32}

worker() {
  echo "$python -m benchmarks.gpu.worker ${dry:+--dry-run} --library $library --untimed --only fastgen"
}

tools() {
  library=
  build || return
  local tool row
  for tool in memcheck racecheck; do
    # Without PyTorch's pool each array ends where its memory does.
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 piece "$tool" 150 \
      $([[ $dry ]] || echo compute-sanitizer --tool "$tool" --error-exitcode 86 --target-processes all) \
      $(worker) --small ${checked_rows//,/ }
  done
  for row in ${profiled_rows//,/ }; do
    piece "ncu $row" 90 $([[ $dry ]] || echo ncu --clock-control none --target-processes all \
      --kernel-name-base demangled --kernel-name regex:fastgen --launch-count 3 \
      --section SpeedOfLight --section MemoryWorkloadAnalysis --section LaunchStats \
      --section Occupancy --section WarpStateStats) $(worker) "$row"
  done
}

# TensorFlow as FASTGEN_TF_PARTS has it: p1, p2, p3, with unpack_tf.sh and our libraries in p3.
unpack() {
  local parts=${FASTGEN_TF_PARTS:-$root/lab/tf}
  if [[ ! -e $parts/p3/unpack_tf.sh ]]; then
    echo "no TensorFlow, and no parts of it in $parts"
    return 1
  fi
  # What is bare there would wait for the log's writer, too, which ends after us.
  wait() {
    local job
    if (($#)); then builtin wait "$@"; else for job in $(jobs -p); do builtin wait "$job"; done; fi
  }
  set +u
  # shellcheck disable=SC1091
  . "$parts/p3/unpack_tf.sh" "$parts" "$work/tf"
  set -u
  unset -f wait
  export FASTGEN_LIB_DIR=$parts/p3/lib
}

tensorflow() {
  local pytest=("$python" -m pytest tests/gpu -p no:cacheprovider)
  if [[ $dry ]]; then
    piece "tests/gpu" 120 "${pytest[@]}" -qq --collect-only
    piece "keras rows" 240 $python -m benchmarks.gpu.keras_rows --lines "$lines" --dry-run
    return
  fi
  if $python -c 'import tensorflow' 2>/dev/null; then
    build || return
  else
    unpack && copy_tree || return # libraries for it are among the parts
  fi
  # Processes share the GPU, so that a fault of it ends one of them alone.
  $python -c 'import xdist' && pytest+=(-n 4 --dist loadfile)
  local there=(env -C "$tree" PYTHONPATH="$tree:$PYTHONPATH" FASTGEN_GPU=1)
  there+=(TF_FORCE_GPU_ALLOW_GROWTH=true)
  piece "tests/gpu" 240 "${there[@]}" "${pytest[@]}" -q -rf --tb=short --maxfail 200
  piece "keras rows" 240 "${there[@]}" $python -m benchmarks.gpu.keras_rows --lines "$lines"
}

{ # read whole, whatever becomes of this file meanwhile
  for stage in "${stages[@]}"; do
    lines=$out/$stage.jsonl
    : >"$lines"
    echo "=== $stage, ${dry:+dry run, }$(left) s left"
    $stage
  done
  exit
}
