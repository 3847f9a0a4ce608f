"""What `fastgen.doctor` prints: the path of every op, or of every part of a model."""

import math

from fastgen import dispatch, native


def doctor(model=None):
    """Print which path each op takes here, and why; and the GPUs that CUDA sees.

    Example:
    >>> import fastgen
    >>> rows = fastgen.doctor()  # doctest: +ELLIPSIS
    fastgen...
    >>> sorted(rows[0])
    ['device', 'dtype', 'op', 'path', 'why']

    Args:
        model: None for every op × device × dtype; or a Keras model, for its layers, loss and
            optimizer as it was compiled. Of `keras.Sequential([generator, discriminator])`, both
            compiled as in the book, the first row is the step of `fastgen.train_gan`.

    Returns:
        The printed rows, a list of dicts.

    Raises:
        ImportError: without TensorFlow; says what to install.
        TypeError: if it is no model.
    """
    native.require_tensorflow("fastgen.doctor")
    _check(model)
    rows = _op_rows() if model is None else [*_book_rows(model), *_step_rows(model)]
    print_table(_title(model), rows)
    if model is None:
        print(*gpu_lines(), sep="\n")
    return rows


def gpu_lines():
    """What GPUs there are and whether the library has kernels for them, a line each."""
    try:
        built, gpus = native.build_info().get("cuda"), native.gpus()
    except native.UnfitError:
        return []
    if not built:
        return [
            "GPU: the library was built without nvcc; fastgen.core has CuPy compile what it can, "
            "and fastgen.jit.cuda needs no compiler"
        ]
    capabilities = [f"{x[:-1]}.{x[-1]}" for x in (name.rstrip("af") for name in built)]
    kernels = "kernels for compute capability " + ", ".join(capabilities)
    if not gpus:
        return [f"GPU: none, {native.why_cuda_sees_none()}; {kernels}"]
    return [
        f"GPU {i}: {gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['multiprocessors']} multiprocessors, {gpu['bytes'] / 2**30:.0f} GiB; "
        + (kernels if gpu["runs"] else f"{kernels}, which do not run on it")
        for i, gpu in enumerate(gpus)
    ]


def _check(model):
    import keras

    if model is not None and not isinstance(model, keras.Model):
        raise TypeError(f"doctor: model must be None or a Keras model. Received: model={model!r}")


def _op_rows():
    devices = ["CPU", *(["GPU"] if dispatch.device_type() == "GPU" else [])]
    return [
        _row({}, op, dtype, device, xla=False)
        for op in (*dispatch.KERNELS, *dispatch.USERS)
        for device in devices
        for dtype in dispatch.FLOATS
    ]


def _row(head, op, dtype, device, xla, size=None):
    choice = dispatch.choose(op, dtype, device, xla, size)
    place = {"op": op, "device": device, "dtype": dtype}
    lost = choice.path == dispatch.COMPOSITE and device == "GPU" and not dispatch.unasked()
    on_the_cpu = lost and not dispatch.kernel_of(op).composite
    return {**head, **place, "path": "on the CPU" if on_the_cpu else choice.path, "why": choice.why}


def _book_rows(model):
    """The step that `fastgen.train_gan` takes of the book's GAN; no row of another model."""
    import keras

    parts = model.layers if isinstance(model, keras.Sequential) else ()
    if len(parts) != 2 or not all(isinstance(part, keras.Model) for part in parts):
        return []
    _, discriminator = parts
    one_output = discriminator.built and discriminator.output_shape[1:] in ((), (1,))
    if not (one_output and model.compiled and discriminator.compiled):
        return []
    from fastgen.ops import players

    head = {"part": "step of train_gan", "type": type_name(model)}
    row = _row(head, "gan_step", model.variable_dtype, dispatch.device_type(), xla=False)
    # New optimizers: those of the models stay unbuilt.
    new = [x.optimizer.from_config(x.optimizer.get_config()) for x in (model, discriminator)]
    pairs = zip(parts, new, strict=True)
    if row["path"] == dispatch.FUSED and (why := players.why_not("gan_step", *pairs)):
        row.update(path=dispatch.COMPOSITE, why=why)
    return [row]


def _step_rows(model):
    """Where one op makes a model's steps its path, and those of the parts where they run.

    Such a model's `why_stock` names the layer that keeps it from the kernel; its `in_kernel` is
    what the kernel runs, if not all.
    """
    if not getattr(model, "compiled", False) or not hasattr(model, "why_stock"):
        return _model_rows(model)
    head = {"part": getattr(model, "in_kernel", "step"), "type": type(model).__name__}
    row = _row(head, *model.fused_ops, model.variable_dtype, dispatch.device_type(), xla=False)
    if row["path"] == dispatch.FUSED and (why := model.why_stock()):
        row.update(path=dispatch.COMPOSITE, why=why)
    whole = row["path"] == dispatch.FUSED and row["part"] == "step"
    return [row] if whole else [row, *_model_rows(model)]


def _model_rows(model):
    compiled = getattr(model, "compiled", False)
    xla = bool(compiled and model.jit_compile)
    device = dispatch.device_type()
    paths = _paths_of_losses(model) if compiled else {}
    rows = []
    for name, part, dtype in [*_layers(model), *(_compiled_parts(model) if compiled else ())]:
        head = {"part": name, "type": part if isinstance(part, str) else type_name(part)}
        kernel = getattr(part, "kernel", None)  # of a dense layer that has been built
        size = None if kernel is None else (_batch(part), math.prod(kernel.shape))
        ops = getattr(part, "fused_ops", ())
        for row in (_row(head, op, dtype, device, xla, size) for op in ops):
            if row["path"] in dispatch.BY_KERNEL:
                row.update(paths.get(id(part), {}))
                row["why"] += getattr(part, "beside_kernel", "")
            rows.append(row)
        if not ops:
            stock = {"op": "", "device": device, "dtype": dtype, "path": "keras", "why": "stock"}
            rows.append({**head, **stock})
    return rows


def _layers(model):
    """Name, layer or what belongs to it, and dtype."""
    for layer in _inner(model, set()):
        yield layer.name, layer, layer.compute_dtype
        if layer.activity_regularizer is not None:
            yield f"{layer.name}/activity", layer.activity_regularizer, layer.compute_dtype


def _inner(layer, seen):
    """The layers in one, each once and in its order; Keras' `_flatten_layers` turns it round."""
    for inner in layer._layers:
        if id(inner) not in seen:
            seen.add(id(inner))
            yield inner
            yield from _inner(inner, seen)


def _compiled_parts(model):
    for loss in _flatten(model.loss):
        yield "loss", loss, getattr(loss, "dtype", None) or model.compute_dtype
    # The one that loss scaling wraps, if it does.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer:
        yield "optimizer", optimizer, model.variable_dtype


def _paths_of_losses(model):
    """What losses say that look at their predictions first: id of a loss → path and why."""
    asked = {id(loss): loss for loss in _flatten(model.loss) if hasattr(loss, "why_stock")}
    reasons = {key: set() for key in asked}

    def look(outputs):
        for loss, predictions in _losses_of_outputs(model, outputs):
            if id(loss) in asked:
                reasons[id(loss)].update(map(loss.why_stock, predictions))

    if asked and not _trace(model, look):
        reasons = {key: {loss.why_stock(None)} for key, loss in asked.items()}
    found = {key: " ".join(why - {None}) for key, why in reasons.items()}
    return {key: {"path": dispatch.COMPOSITE, "why": why} for key, why in found.items() if why}


def _losses_of_outputs(model, outputs):
    """Each loss of a model with the outputs that it is computed of."""
    loss, flat = model.loss, _flatten(outputs)
    if isinstance(loss, dict):
        names = outputs if isinstance(outputs, dict) else model.output_names
        named = outputs if isinstance(outputs, dict) else dict(zip(names, flat, strict=True))
        return [(one, _flatten(named.get(name))) for name, one in loss.items()]
    if isinstance(loss, (list, tuple)) and len(loss) == len(flat):
        return [(one, [output]) for one, output in zip(loss, flat, strict=True)]
    return [(one, flat) for one in _flatten(loss)]


def _trace(model, look):
    """Call `look` on the model's outputs as a step of `fit` has them, in a graph; whether it could.

    Neither state nor losses of the model change.
    """
    import keras
    import tensorflow as tf

    layers = model._flatten_layers()
    losses = [(layer, layer._losses[:], set(layer._loss_ids)) for layer in layers]

    @tf.function(autograph=False)
    def trace(inputs):
        with keras.StatelessScope(), dispatch.rehearsal():
            look(model(inputs, training=True))

    try:
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        specs = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
        trace.get_concrete_function(specs)
    except Exception:  # a model without inputs of its own; whatever a stranger's code raises
        return False
    finally:
        for layer, kept, ids in losses:
            layer._losses[:] = kept
            layer._loss_ids.clear(), layer._loss_ids.update(ids)
    return True


def _batch(layer):
    """The number of rows that a layer was built for; 0 where any will do."""
    shape = getattr(layer.input, "shape", ()) if getattr(layer, "_inbound_nodes", ()) else ()
    return math.prod(n or 0 for n in shape[:-1]) if shape else 0


def _flatten(structure):
    import keras

    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def type_name(part):
    """What users call the class of a part of a model, or the part itself if it is a function."""
    return getattr(part, "__name__", type(part).__name__).rpartition(".")[2]  # losses.NAME


def _title(model):
    found = native.status()
    return (
        f"fastgen{'' if model is None else ': ' + model.name} · TensorFlow {found['tensorflow']} · "
        f"instructions: {found['isa'] or 'none'} · FASTGEN_BACKEND={dispatch.backend()}"
    )


def print_table(title, rows):
    """Print dicts of strings as a table, the title first, for those who read it by eye.

    A device or a dtype that all rows have is in the title, and `path` and `why` share a column.
    Lines break between words, and names do not break: for them a table is wider than the terminal.

    Args:
        title: string.
        rows: list of dicts of the same keys. Those that differ in `dtype` alone share a line.
    """
    from rich.console import Console
    from rich.table import Table

    common = [c for c in ("device", "dtype") if len({row.get(c) for row in rows}) == 1]
    lines = _lines(rows, common)
    table = Table()
    for column in lines[0] if lines else ():
        wraps = column in ("dtype", "path", "why")  # the others are names to search for
        words = [word for x in lines for word in (x[column].split() if wraps else [x[column]])]
        table.add_column(column, min_width=max(map(len, words), default=0), no_wrap=not wraps)
    for line in lines:
        table.add_row(*line.values())
    console = Console()
    where = [rows[0][column] for column in common if column in rows[0]]
    console.print(" · ".join([title, *where]), highlight=False, soft_wrap=True)
    console.print(table, crop=False)


def _lines(rows, left_out):
    """The rows as `print_table` shows them: fewer columns, dtypes together and before the path."""
    lines = {}
    for row in rows:
        cells = {column: text for column, text in row.items() if column not in left_out}
        dtype = cells.pop("dtype", None)
        line = lines.setdefault(tuple(cells.items()), {**cells, "dtype": []})
        line["dtype"] += [dtype] if dtype not in (None, *line["dtype"]) else []
    for line in lines.values():
        dtypes = line.pop("dtype")
        line.update({"dtype": " ".join(dtypes)} if dtypes else {})
        if "path" in line:
            path, why = line.pop("path"), line.pop("why")
            line["path"] = path if why in ("stock", "kernel") else f"{path}: {why}"
    return list(lines.values())
