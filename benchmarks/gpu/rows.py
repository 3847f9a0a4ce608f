"""The table: every row with its peers, its floor on an H200, and the bars it has to reach.

Floors are bytes at 4.3 TB/s, or operations at 67 TFLOP/s in float32, 400 in tf32, 790 in bfloat16.
"""

from benchmarks import gan
from benchmarks.gpu.row import Row, at_least, at_most

COPY, FP32, TF32 = 4.3e12, 67e12, 400e12
PEERS = ("torch", "torch_compile", "jax", "cupy", "triton")
CAPTURED = ("torch_graph", "torch_compile_graph", "triton_graph")
OF_PRODUCTS = ("torch", "torch_compile", "torch_graph", "jax")


def of_bandwidth(name, title, work, shape, per_element, providers, bars):
    """Ours is as fast as a copy of its bytes."""
    size = shape[0] * shape[1]
    return Row(
        name, title, work, shape, (64, 8), ("fastgen", *providers), bytes=per_element * size,
        floor=per_element * size / COPY, bars=bars,
    )  # fmt: skip


def sample_kl(name, title, work, per_element):
    bars = [at_least("copy", 0.85), at_least("torch", 4)]
    bars += [at_least(peer, 1) for peer in ("torch_compile", "triton", "jax")]
    shape, providers = (1 << 20, 128), (*PEERS[:2], "torch_graph", *PEERS[2:])
    return of_bandwidth(name, title, work, shape, per_element, providers, tuple(bars))


def small_sample_kl(rows, cols):
    """In a graph, where nothing but the kernel counts; and called, where the call does."""
    title = f"sample + KL, {rows}×{cols}"
    common = {"work": "sample_kl.SampleKl", "shape": (rows, cols), "small": (64, cols)}
    name = f"sample_kl_{rows}x{cols}"
    return [
        Row(
            f"{name}_graph", f"{title}, in a graph", providers=("fastgen_graph", *CAPTURED),
            ours="fastgen_graph", bytes=12 * rows * cols, rotates=False, **common,
            bars=(at_most("microseconds", 4), at_least("torch_compile_graph", 1.5)),
        ),
        Row(
            f"{name}_call", f"{title}, a call from Python",
            providers=("fastgen_core", "fastgen", *PEERS), ours="fastgen_core",
            bytes=12 * rows * cols, rotates=False, **common,
            bars=(at_most("microseconds", 10), at_least("torch_compile", 1.5)),
        ),
    ]  # fmt: skip


def tied(name, title, shape, precision, floor, bars=()):
    rows, inputs, units = shape
    return Row(
        name, title, "tied.Tied", shape, (33, 12, 20), ("fastgen", *OF_PRODUCTS), precision,
        flops=2 * rows * inputs * units, floor=floor, bars=bars,
    )  # fmt: skip


def discriminator(batch, precision, bars):
    work, flops = "gan_steps.DiscriminatorUpdate", batch * gan.flops("discriminator_update")
    providers = ("fastgen_graph", "fastgen", *OF_PRODUCTS, "torch_compile_graph")
    return Row(
        f"discriminator_{batch}_{precision}", f"discriminator's step, batch {batch}, {precision}",
        work, (batch,), (4,), providers, precision, "fastgen_graph", flops=flops,
        floor=flops / {"float32": FP32, "tf32": TF32}[precision], rotates=False, bars=bars,
    )  # fmt: skip


def gan_step(batch, steps):
    providers = ("fastgen_graph", "fastgen", *OF_PRODUCTS, "torch_compile_graph")
    flops = steps * batch * gan.flops("gan_step")
    return Row(
        f"gan_step_{batch}", f"{steps} steps of the GAN, batch {batch}", "gan_steps.GanStep",
        (batch, steps), (4, 2), providers, ours="fastgen_graph", flops=flops, floor=flops / FP32,
        rotates=False,
    )  # fmt: skip


def adam(name, title, shape, small, size, ours="fastgen"):
    providers = dict.fromkeys((ours, "fastgen", "torch", "torch_compile", "torch_graph", "jax"))
    return Row(
        name, title, "optimizer.Adam", shape, small, tuple(providers), ours=ours, bytes=28 * size,
        floor=28 * size / COPY, rotates=False,
    )  # fmt: skip


TIED, WIDE = (65536, 100, 784), (4096, 512, 4096)
OUTPUT = TIED[0] * TIED[2]
PARAMETERS = sum(
    (inputs + 1) * units for sizes in (gan.GENERATOR, gan.DISCRIMINATOR)
    for inputs, units in gan.layers(sizes)
)  # fmt: skip

ROWS = (
    sample_kl("sample_kl_forward", "sample + KL, 1M×128, forward", "sample_kl.SampleKl", 12),
    sample_kl("sample_kl_backward", "sample + KL, 1M×128, backward", "sample_kl.SampleKlGrad", 20),
    of_bandwidth(
        "cross_entropy", "BCE + gradient, 65536×784", "cross_entropy.CrossEntropy", (65536, 784),
        12, PEERS, (at_least("copy", 0.85), at_least("torch_compile", 1)),
    ),
    discriminator(32, "float32", (
        at_most("microseconds", 25, stretch=10), at_least("torch", 10), at_least("torch_graph", 2),
    )),
    tied(
        "tied_tf32", "tied 65536, 100→784, sigmoid, tf32", TIED, "tf32", 54e-6,
        (at_least("share", 0.65), at_least("torch", 1.5)),
    ),
    Row(
        "tied_cross_entropy", "the same + BCE, tf32", "cross_entropy.TiedCrossEntropy", TIED,
        (33, 12, 20), ("fastgen", *OF_PRODUCTS), "tf32", bytes=8 * OUTPUT, floor=8 * OUTPUT / COPY,
        bars=(at_least("torch", 2),),
    ),
    discriminator(4096, "tf32", (at_most("microseconds", 45), at_least("torch_graph", 1.3))),
    *small_sample_kl(128, 2),
    *small_sample_kl(4096, 32),
    tied("tied_strict", "tied 65536, 100→784, sigmoid, float32", TIED, "float32", 153e-6),
    tied(
        "tied_bfloat16", "tied 65536, 100→784, sigmoid, bfloat16", TIED, "bfloat16",
        2 * OUTPUT / COPY,
    ),
    tied("tied_wide_bfloat16", "tied 4096, 512→4096, sigmoid, bfloat16", WIDE, "bfloat16", 22e-6),
    gan_step(32, 10),
    adam("adam_100m", "Adam, 100M weights", (100_000_000,), (1003,), 100_000_000),
    adam("adam_gan", "Adam, the GAN's 12 tensors", ("gan",), ("gan",), PARAMETERS, "fastgen_graph"),
    discriminator(4096, "float32", ()),
)  # fmt: skip


def choose(names):
    """The rows of some names, in that order; all without names."""
    known = {row.name: row for row in ROWS}
    if unknown := set(names) - set(known):
        raise SystemExit(f"gpu_lab: no rows {sorted(unknown)}; there are {sorted(known)}")
    return [known[name] for name in names] if names else list(ROWS)
