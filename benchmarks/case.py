"""What makes a row of the table: an operation, a way to measure it, and bars."""

from dataclasses import dataclass

STOCK = ("eager", "keras", "keras_xla")
PEERS = ("torch", "torch_compile", "jax")
# Inside a graph there is no eager row: it would be the row "a call" again.
COMPILED = (*STOCK[1:], *PEERS)


@dataclass(frozen=True)
class Bar:
    """What a figure of the row must reach.

    `figure` is a provider (its time / ours), "stock" (the better of keras and keras_xla), "triad"
    or "fma" (shares of the bandwidth and of the multiply-adds that all threads reach), or what the
    row measures where that is not a time. Of a provider, `at_most` says how far behind ours it may
    be.
    """

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None

    def met(self, value):
        return value >= self.at_least if self.at_most is None else value <= self.at_most


@dataclass(frozen=True)
class Case:
    """One row.

    `measure` says how: "graph" repeats the operation in one graph, "call" calls it from Python,
    "memory" takes TensorFlow's peak, "growth" the time per element through the C ABI, "import"
    the seconds that fastgen adds to TensorFlow's own import, "compile" those of a kernel's first
    call, "threads" how many times as fast two threads are as one; "fit" trains a model for an epoch
    of `iterations` steps of `operation` on `shape` images, "generate" draws `shape` images from it;
    "train" trains the autoencoder `operation` of members.py likewise, `per_call` epochs in a
    `fit`.
    Else `operation` names an entry of operations.py: inputs, float64 reference and check. "update"
    times optimizer_update, by the rule `operation` of updates.py, on variables of `shape`s. "step"
    times `operation` of the book's GAN, see gan.py, on batches of `shape`, `per_call` steps in each
    of our calls; "sweep" the same of ours alone; "product" a plain product on one thread, `shape`
    being rows, inputs, units. `iterations` are those of one timed run; `bytes_per_element` and
    `flops_per_element` count by the product of `shape`. `forced` times our kernel where dispatch
    would take stock ops, because they are faster.
    """

    name: str
    title: str
    measure: str
    operation: str = ""
    shape: tuple = ()
    dtype: str = "float32"
    providers: tuple = COMPILED
    iterations: int = 1
    per_call: int = 1
    rounds: int = 24
    forced: bool = False
    bytes_per_element: int = 0
    flops_per_element: int = 0
    bars: tuple = ()
