"""What makes a row of the GPU's table, and what it must reach."""

from dataclasses import dataclass

from benchmarks.case import Bar

GRAPH = "_graph"  # ends the name of a provider whose calls are captured in a CUDA graph
# ‖out − float64‖ / ‖float64‖ must stay below.
ERRORS = {"float32": 1e-6, "tf32": 1e-3, "bfloat16": 1e-2}


@dataclass(frozen=True)
class Row:
    """One row.

    `work` names a class of benchmarks/gpu/work, `shape` is its size and `small` that of dry runs
    and of sanitizers. `precision` is a dtype, or "tf32". A time is that of one of `providers`, ours
    among them: called from Python, asynchronously and many times, or, if the name ends in `GRAPH`,
    replayed from a CUDA graph of many calls. `ours` is the provider that bars speak of. `bytes` and
    `flops` are those of one repetition, `floor` the seconds that no version can go far below;
    inputs that `rotates` go through more memory than L2 holds. A bar's figure is a provider (its
    time / ours), "share" (floor / our time), "copy" (our bytes a second / those of a copy in the
    same run), or "microseconds".
    """

    name: str
    title: str
    work: str
    shape: tuple
    small: tuple
    providers: tuple
    precision: str = "float32"
    ours: str = "fastgen"
    bytes: int = 0
    flops: int = 0
    floor: float = 0.0
    rotates: bool = True
    rounds: int = 20
    seconds: int = 90  # that it may take, compilers included
    bars: tuple = ()

    @property
    def dtype(self):
        return "float32" if self.precision == "tf32" else self.precision


def at_least(figure, value, stretch=None):
    return Bar(figure, at_least=value, stretch=stretch)


def at_most(figure, value, stretch=None):
    return Bar(figure, at_most=value, stretch=stretch)
