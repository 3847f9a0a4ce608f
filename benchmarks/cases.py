"""The one table of what is timed: a row here is a row of the report."""

from itertools import pairwise

from benchmarks.case import COMPILED, PEERS, STOCK, Bar, Case
from benchmarks.family import FAMILY
from benchmarks.gan import DISCRIMINATOR, GENERATOR, flops

# Keras' fit by default, and with 20 steps in an execution.
FITS = ("keras", "keras_20")
# A kernel of fastgen.jit may take twice as long as ours in C++.
BESIDE_NUMBA, NUMBA = (*COMPILED, "numba"), Bar("numba", at_most=2)
# Kernels that XLA calls too.
INSIDE_XLA = ("fused_xla", *BESIDE_NUMBA)
# Beside a kernel of a user's own.
CALLBACK = ("eager", *COMPILED, "py_function")
# torch.compile has nothing to fuse with a product on a CPU.
PRODUCTS = (*STOCK[1:], "torch", "jax")
# A GAN's steps one by one, and as many in a call as ours.
STEPS, SCANS = (*STOCK[1:], "torch", "jax"), ("keras_scan", "keras_xla_scan", "jax_scan")
# The variables of the book's dense GAN: generator and discriminator.
GAN = tuple(
    shape
    for sizes in (GENERATOR, DISCRIMINATOR)
    for inputs, units in pairwise(sizes)
    for shape in ((inputs, units), (units,))
)
GAN_STEPS, D_STEPS = ("loop", *STEPS, *SCANS), (*STEPS, *SCANS)
# Figure, at least, at most, stretch.
GAN_BARS = {
    32: (
        ("loop", 12),
        ("keras", 2.5, None, 3),
        ("keras_xla", 2.5, None, 3),
        ("torch", 1.5, None, 1.8),
        ("jax", 1.5, None, 1.8),
    ),
    256: (
        ("loop", 4),
        ("keras", 1.8),
        ("keras_xla", 1.8),
        ("torch", 1.4),
        ("jax", 1.4),
        ("fma", 0.6),
    ),
}
GAN_CALL_BARS = {32: (("loop", 8), ("jax", 1.2))}
D_BARS = {32: (("stock", 3),), 256: (("stock", 2),)}

CASES = (
    Case(
        "gaussian_sample_kl_65536x64",
        "sample + KL, 65536×64",
        "graph",
        operation="gaussian_sample_kl",
        shape=(65536, 64),
        iterations=3,
        bytes_per_element=32,
        providers=INSIDE_XLA,
        bars=(Bar("keras", 6, stretch=8), Bar("keras_xla", 12), Bar("triad", 0.5), NUMBA),
    ),
    Case(
        "gaussian_sample_kl_4096x32",
        "sample + KL, 4096×32",
        "graph",
        operation="gaussian_sample_kl",
        shape=(4096, 32),
        iterations=40,
        bytes_per_element=32,
        providers=INSIDE_XLA,
        bars=(Bar("stock", 4), NUMBA),
    ),
    Case(
        "gaussian_sample_kl_32x10",
        "sample + KL, 32×10",
        "graph",
        operation="gaussian_sample_kl",
        shape=(32, 10),
        iterations=1000,
        bytes_per_element=32,
        providers=INSIDE_XLA,
        bars=(Bar("stock", 1.5), NUMBA),
    ),
    Case(
        "gaussian_sample_65536x64",
        "sample, 65536×64",
        "graph",
        operation="gaussian_sample",
        shape=(65536, 64),
        iterations=3,
        bytes_per_element=24,
    ),
    Case(
        "gaussian_kl_65536x64",
        "KL, 65536×64",
        "graph",
        operation="gaussian_kl",
        shape=(65536, 64),
        iterations=8,
        bytes_per_element=24,
    ),
    *(
        Case(
            f"gaussian_sample_kl_{rows}x{cols}_call",
            f"sample + KL, {rows}×{cols}",
            "call",
            operation="gaussian_sample_kl",
            shape=(rows, cols),
            # Without the loop of "graph", for which XLA copies what it carries.
            providers=("fused_xla", *STOCK, *PEERS),
            iterations=iterations,
            bytes_per_element=32,
        )
        for rows, cols, iterations in ((65536, 64, 1), (4096, 32, 10), (32, 10, 50))
    ),
    Case(
        "dense_transpose_4096x4096x512",
        "dense_transpose + ReLU, 4096×4096→512",
        "graph",
        operation="dense_transpose",
        shape=(4096, 4096, 512),
        providers=PRODUCTS,
        iterations=3,
        rounds=20,
        flops_per_element=6,
        bars=(Bar("stock", 1.3),),
    ),
    Case(
        "dense_transpose_64x150x784",
        "dense_transpose + ReLU, 64×150→784",
        "graph",
        operation="dense_transpose",
        shape=(64, 150, 784),
        providers=PRODUCTS,
        iterations=100,
        forced=True,
        flops_per_element=6,
        bars=(Bar("stock", 1.3),),
    ),
    Case(
        "dense_transpose_64x150x784_call",
        "dense_transpose + ReLU, 64×150→784",
        "call",
        operation="dense_transpose",
        shape=(64, 150, 784),
        providers=("eager", *PRODUCTS),
        iterations=20,
        forced=True,
        flops_per_element=6,
    ),
    Case(
        "dense_64x784x150",
        "dense + ReLU, 64×784→150",
        "graph",
        operation="dense",
        shape=(64, 784, 150),
        providers=PRODUCTS,
        iterations=100,
        forced=True,
        flops_per_element=6,
    ),
    Case(
        "dense_1024x784x300",
        "dense + ReLU, 1024×784→300",
        "graph",
        operation="dense",
        shape=(1024, 784, 300),
        providers=PRODUCTS,
        iterations=10,
        forced=True,
        flops_per_element=6,
    ),
    *(
        Case(
            f"product_{operation}_{'x'.join(map(str, shape))}",
            f"{title}, {shape[0]}×{shape[1]}→{shape[2]}",
            "product",
            operation=operation,
            shape=shape,
            providers=("openblas",),
            iterations=iterations,
            flops_per_element=2,
        )
        for operation, title, shape, iterations in (
            ("dense", "x W", (64, 784, 150), 100),
            ("dense_transpose", "x Wᵀ", (64, 150, 784), 100),
            ("dense", "x W", (1024, 784, 300), 10),
            ("dense_transpose", "x Wᵀ", (4096, 4096, 512), 1),
        )
    ),
    Case(
        "sigmoid_cross_entropy_65536x784",
        "BCE with logits, 65536×784",
        "graph",
        operation="sigmoid_cross_entropy",
        shape=(65536, 784),
        iterations=3,
        rounds=20,
        bytes_per_element=20,
        providers=INSIDE_XLA,
        bars=(Bar("keras", 3), Bar("keras_xla", 1.2), NUMBA),
    ),
    Case(
        "sigmoid_cross_entropy_128x784",
        "BCE with logits, 128×784",
        "graph",
        operation="sigmoid_cross_entropy",
        shape=(128, 784),
        iterations=100,
        bytes_per_element=20,
        providers=INSIDE_XLA,
        bars=(NUMBA,),
    ),
    *(
        Case(
            f"{operation}_4096x{cols}",
            f"{title}, 4096×{cols}",
            "graph",
            operation=operation,
            shape=(4096, cols),
            iterations=iterations,
            bytes_per_element=moved,
            providers=BESIDE_NUMBA if operation == "sparsity" else COMPILED,
            bars=(NUMBA,) if operation == "sparsity" else (),
        )
        for operation, title, cols, moved, iterations in (
            ("sparsity", "KL sparsity", 300, 8, 60),
            ("gaussian_noise", "Gaussian noise", 784, 8, 8),
            ("dropout", "dropout", 784, 16, 8),
        )
    ),
    Case(
        "swish_forward_4096x256",
        "a user's swish with @jit.elementwise, forward alone, 4096×256",
        "graph",
        operation="swish_forward",
        shape=(4096, 256),
        providers=CALLBACK,
        iterations=20,
        bars=(Bar("py_function", 20), Bar("eager", 2), Bar("keras_xla", 0.8)),
    ),
    Case(
        "swish_4096x256",
        "a user's swish with @jit.elementwise, 4096×256",
        "graph",
        operation="swish",
        shape=(4096, 256),
        providers=CALLBACK,
        iterations=8,
        bars=(Bar("eager", 2), Bar("keras_xla", 0.8)),
    ),
    *(
        Case(
            f"optimizer_update_{rule}_{name}",
            f"{title}, {words}",
            "update",
            operation=rule,
            shape=shapes,
            providers=("keras", "keras_xla", "torch", "jax"),
            iterations=iterations,
            bars=(Bar("keras", 3), Bar("keras_xla", 1)),
        )
        for rule, title, name, words, shapes, iterations in (
            ("rmsprop", "RMSprop", "268k", "12 tensors, 270k parameters", GAN, 100),
            ("adam", "Adam", "268k", "12 tensors, 270k parameters", GAN, 100),
            ("nadam", "Nadam", "268k", "12 tensors, 270k parameters", GAN, 100),
            ("adam", "Adam", "10m", "1 tensor, 10M parameters", ((10_000_000,),), 4),
        )
    ),
    *(
        Case(
            f"{operation}_{batch}{name}",
            f"{title}, batch {batch}, {words}",
            "step",
            operation=operation,
            shape=(batch,),
            providers=providers,
            iterations=max(8, per_call),
            per_call=per_call,
            rounds=20,
            flops_per_element=flops(operation),
            bars=tuple(Bar(*bar) for bar in bars),
        )
        for operation, title, name, words, per_call, providers, bars_by_batch in (
            ("gan_step", "GAN step", "", "16 a call", 16, GAN_STEPS, GAN_BARS),
            ("gan_step", "GAN step", "_call", "1 a call", 1, ("loop", *STEPS), GAN_CALL_BARS),
            ("discriminator_update", "update of D", "", "16 a call", 16, D_STEPS, D_BARS),
            ("discriminator_update", "update of D", "_call", "1 a call", 1, STEPS, {}),
        )
        for batch in (32, 256)
        for bars in [bars_by_batch.get(batch, ())]
    ),
    *(
        Case(
            f"gan_step_sweep_{batch}",
            f"GAN step, batch {batch}",
            "sweep",
            operation="gan_step",
            shape=(batch,),
            providers=(),
            # Some 10 ms a call.
            iterations=-(-512 // batch),
            per_call=-(-512 // batch),
            rounds=12,
            flops_per_element=flops("gan_step"),
        )
        for batch in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    ),
    *(
        Case(
            f"vae_fit_{batch}",
            f"a training step through fit, batch {batch}",
            "fit",
            operation="autoencoder_step",
            shape=(batch,),
            providers=("keras_20", *COMPILED),
            iterations=iterations,
            bars=(Bar("keras", least),),
        )
        for batch, iterations, least in ((32, 64, 3), (128, 32, 2))
    ),
    *(
        Case(
            f"{model}_autoencoder_fit_{batch}",
            f"{title}, batch {batch}",
            "train",
            operation=model,
            shape=(batch,),
            providers=FITS if model == "stacked" else FITS[:1],
            iterations=iterations,
            per_call=epochs,
            bars=(Bar("keras", least),),
        )
        for model, (title, fits) in FAMILY.items()
        for batch, iterations, epochs, least in fits
    ),
    Case(
        "vae_generate_1024",
        "1024 images from the prior",
        "generate",
        shape=(1024,),
        iterations=8,
    ),
    Case(
        "gaussian_sample_kl_memory",
        "sample + KL, 32768×128: peak / (inputs + outputs + gradients)",
        "memory",
        operation="gaussian_sample_kl",
        # As many elements as 65536×64, but kl and d_kl stay below memory.COUNTED.
        shape=(32768, 128),
        providers=STOCK,
        bars=(Bar("memory", at_most=1.0),),
    ),
    Case(
        "gaussian_sample_kl_growth",
        "sample + KL through the C ABI: time per element at 1e8 / at 1e7",
        "growth",
        operation="gaussian_sample_kl",
        shape=(10**8 // 64, 64),
        providers=(),
        bytes_per_element=32,
        bars=(Bar("growth", at_most=1.5),),
    ),
    Case(
        "swish_forward_threads",
        "a user's swish, 1024×256: speed on two threads / on one",
        "threads",
        operation="swish_forward",
        shape=(1024, 256),
        providers=(),
        iterations=40,
        rounds=4,
        bars=(Bar("threads", 1.4),),
    ),
    Case(
        "compile_kernel",
        "first call of a kernel of fastgen.jit whose code is on the disk: seconds",
        "compile",
        providers=(),
        bars=(Bar("seconds", at_most=0.3),),
    ),
    Case(
        "import_fastgen",
        "import fastgen, fastgen.ops, fastgen.layers after TensorFlow and Keras: seconds added",
        "import",
        providers=(),
        bars=(Bar("seconds", at_most=0.3),),
    ),
)


def cases(*measures):
    return [case for case in CASES if case.measure in measures]
