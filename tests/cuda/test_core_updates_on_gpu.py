"""fastgen.core's optimizers, networks and GANs on arrays of a GPU: see test_core_on_gpu.py."""

UPDATES = """
import copy

def on_gpu(x):
    if isinstance(x, np.ndarray):
        return cupy.array(x)
    if isinstance(x, dict):
        return {name: on_gpu(value) for name, value in x.items()}
    return type(x)(map(on_gpu, x)) if isinstance(x, (list, tuple)) else x

def same(ours, numpys):
    if isinstance(numpys, np.ndarray):
        return np.testing.assert_allclose(ours.get(), numpys, rtol=1e-5, atol=1e-6)
    if isinstance(numpys, dict):
        ours, numpys = ours.values(), numpys.values()
    if numpys is not None and not isinstance(numpys, (str, float, int)):
        for one, other in zip(ours, numpys, strict=True):
            same(one, other)

def normal(*shape):
    return rng.standard_normal(shape).astype("float32")

def network(*widths):
    shapes = list(zip(widths, widths[1:]))
    return [(normal(m, n) / 4, normal(n), "selu" if n > 1 else "sigmoid") for m, n in shapes]

def rmsprop(layers):
    slots = [[np.zeros_like(x) for layer in layers for x in layer[:2]]]
    given = {"rule": "rmsprop", "iterations": 0, "learning_rate": 0.01, "rho": 0.9}
    return {**given, "epsilon": 1e-7, "slots": slots, "slot_places": [0]}

d, g = network(12, 7, 1), network(3, 5, 12)
d[0] = (*d[0], False, ("dropout", 0.25))
images, fake = rng.integers(0, 256, (20, 12)).astype("uint8"), normal(9, 12)
"""


def test_optimizers(run_core):
    run_core(
        UPDATES
        + """
for rule, places in [("sgd", [0]), ("rmsprop", [0, 2]), ("adam", [0, 1]), ("nadam", [0, 1])]:
    w, gradients = [normal(3, 7), normal(40), normal(5)], [normal(3, 7), normal(40)]
    state = dict(averages=[x + 1 for x in w], accumulators=[x * 0 for x in w])
    if rule == "nadam":
        state["u_product"] = np.ones(1, "float32")
    options = dict(momentum=0.9, rho=0.99, epsilon=1e-6, weight_decay=0.1, clip="global_norm",
        clip_at=0.5, ema_momentum=0.9, ema_overwrite_frequency=1, accumulation_steps=2,
        variation=rule == "rmsprop", slot_places=places)
    slots = [[abs(normal(*x.shape)) for x in gradients] for _ in places]
    there = on_gpu((w, gradients, slots)), on_gpu(state)
    for i in range(4):
        assert core.optimizer_update(rule, i, w, gradients, slots, 0.1, **state, **options) is True
        assert core.optimizer_update(rule, i, *there[0], 0.1, **there[1], **options) is True
        same(there, ((w, gradients, slots), state))

w, gradient = cupy.array(normal(5)), cupy.array(normal(5))
before = w.get()
applied = core.optimizer_update("sgd", 0, [w], [Interface(gradient)], [], 1.0, loss_scale=2.0)
assert applied.dtype == np.int32 and applied.get() == 1
same(w, before - gradient.get() / 2)
before = w.get()
applied = core.optimizer_update(
    "sgd", 0, [w], [cupy.array(np.full(5, np.inf, "float32"))], [], 1.0, loss_scale=2.0)
assert applied.get() == 0 and (w.get() == before).all()
"""
    )


def test_networks(run_core):
    run_core(
        UPDATES
        + """
seeds = np.arange(2).reshape(1, 1, 2)
x, d_y = normal(9, 12), normal(9, 1)
for given in (None, seeds):
    there = on_gpu((x, d, d_y))
    same(core.mlp_forward(*there[:2], seeds=given), core.mlp_forward(x, d, seeds=given))
    same(core.mlp_grad(*there, seeds=given), core.mlp_grad(x, d, d_y, seeds=given))
loose = core.mlp_forward(*there[:2], precision="tf32").get()
np.testing.assert_allclose(loose, core.mlp_forward(x, d), rtol=1e-2, atol=1e-2)

optimizer, targets = rmsprop(d), rng.random(29).astype("float32")
for given in (None, targets):
    there = on_gpu((d, optimizer, images, fake, given))
    told = core.discriminator_update(d, optimizer, images, fake, given, seeds)
    ours = core.discriminator_update(*there, seeds)
    assert ours.keys() == told.keys()
    for name, value in told.items():
        same(ours[name], np.asarray(value))
    same(there[:2], (d, optimizer))
"""
    )


def test_steps_of_a_gan(run_core):
    run_core(
        UPDATES
        + """
rows, seeds = rng.integers(0, 20, (3, 2, 8)), rng.integers(0, 99, (3, 3, 2))
more = {"discriminator_corruption": rng.integers(0, 99, (9, 1, 2)),
        "targets": rng.random((3, 2, 2, 8)).astype("float32"),
        "discriminator_rates": rng.random((3, 2)) / 99}
players = [g, rmsprop(g), d, rmsprop(d)]
for where in (lambda x: x, on_gpu):  # of integers and learning rates
    there, done = on_gpu(players), cupy.array(np.zeros(2, "int64"))
    mine = copy.deepcopy(players)
    told = core.gan_step(*mine, images, rows, seeds, **more)
    given = {name: on_gpu(x) if name == "targets" else where(x) for name, x in more.items()}
    ours = core.gan_step(*there, cupy.array(images), where(rows), where(seeds), **given, done=done)
    assert ours.keys() == told.keys()
    same([ours[name] for name in told], [told[name] for name in told])
    same(there, mine)
    assert done.get().tolist() == [6, 3]

there = on_gpu(players)
rows[1, 0, 3] = 20
arrays = cupy.array(images), rows, seeds
ours = core.gan_step(*there, *arrays, discriminator_corruption=more["discriminator_corruption"],
                     done=done)
assert done.get().tolist() == [2, 1]
loss = ours["discriminator_loss"].get()
assert np.isfinite(loss[0]) and np.isnan(loss[1]) and loss[2] == 0
"""
    )


def test_updates_that_are_refused(run_core):
    """Nothing is written then."""
    run_core(
        UPDATES
        + """
optimizer, w = rmsprop(d), [normal(5), normal(5)]
there, gpu_optimizer, v = on_gpu(d), on_gpu(optimizer), on_gpu(w)
before = copy.deepcopy((d, optimizer, w))
deep = on_gpu(network(*[12] * 13, 1))
real, made = cupy.array(images), cupy.array(fake)
transposed = cupy.array(normal(7, 12).T)
averaging = {**gpu_optimizer, "ema_momentum": 0.9, "averages":
             [cupy.array(x) for layer in d for x in layer[:2]]}
sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
for message, call in {
    "one device. Received: .* in NumPy": lambda: core.optimizer_update("sgd", 0, v, w, [], 1.0),
    "variables must be C-contiguous, of NumPy or CuPy: it is updated in place. Received: .*Inter":
        lambda: core.optimizer_update("sgd", 0, [Interface(v[0])], v[:1], [], 1.0),
    "kernel must be C-contiguous": lambda: core.discriminator_update(
        [(transposed, None, "selu"), there[1]], gpu_optimizer, real, made),
    "slots must have the shape of its variable": lambda: core.optimizer_update(
        "sgd", 0, v, v, [[cupy.array(normal(4))] * 2], 1.0, slot_places=[0]),
    "real in NumPy": lambda: core.discriminator_update(there, gpu_optimizer, images, made),
    "slots in NumPy": lambda: core.discriminator_update(there, optimizer, real, made),
    "at most 12 layers. Received: 13": lambda: core.discriminator_update(deep, sgd, real, made),
    "must keep no average": lambda: core.discriminator_update(there, averaging, real, made),
    "precision must be float32 or tf32. Received: fp8": lambda: core.discriminator_update(
        there, gpu_optimizer, real, made, precision="fp8"),
    "corruption must be .*, on a GPU int64. Received: .*int32": lambda: core.discriminator_update(
        there, gpu_optimizer, real, made, corruption=cupy.array(np.zeros((1, 1, 2), "int32"))),
    "autoencoder_step: takes arrays of NumPy. Received: kernel on a GPU":
        lambda: core.autoencoder_step(on_gpu(network(12, 12)), sgd, real, [[0, 1]]),
}.items():
    with pytest.raises(ValueError, match=message):
        call()
same((there, gpu_optimizer, v), before), same(on_gpu((d, optimizer, w)), before)
with pytest.raises(NotImplementedError, match="optimizer_update: on a GPU this kernel needs a"):
    os.environ["FASTGEN_NVRTC"] = "1"
    core.optimizer_update("sgd", 0, v, v, [], 1.0)
"""
    )


def test_steps_that_are_refused(run_core):
    run_core(
        UPDATES
        + """
sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
there, counts = (on_gpu(g), sgd, on_gpu(d), sgd, cupy.array(images)), cupy.array(np.full(2, 7))
rows, seeds = np.zeros((1, 1, 2), "int64"), np.zeros((1, 2, 2), "int64")
before = copy.deepcopy((g, d))
for message, call in {
    "on the current GPU, 0. Received: rows on GPU 1":
        lambda: core.gan_step(*there, cupy.array(rows, device=1), seeds),
    "gan_step: done must be in NumPy, as the networks are. Received: done on a GPU":
        lambda: core.gan_step(g, sgd, d, sgd, images, rows, seeds, done=counts),
    "gan_step: done must be on a GPU, as the networks are. Received: done in NumPy":
        lambda: core.gan_step(*there, rows, seeds, done=np.zeros(2, "int64")),
    "done must be C-contiguous, of NumPy or CuPy":
        lambda: core.gan_step(*there, rows, seeds, done=Interface(counts)),
}.items():
    with pytest.raises(ValueError, match=message):
        call()
same((there[0], there[2]), before), same(on_gpu((g, d)), before)
assert counts.get().tolist() == [7, 7]
"""
    )
