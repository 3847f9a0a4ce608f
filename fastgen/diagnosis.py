"""What `fastgen.doctor` prints: the path of every op, or of every part of a model."""

import math

from fastgen import dispatch, native


def doctor(model=None):
    """Print which path each op takes here, and why.

    Example:
    >>> import fastgen
    >>> rows = fastgen.doctor()  # doctest: +ELLIPSIS
    fastgen...
    >>> sorted(rows[0])
    ['device', 'dtype', 'op', 'path', 'why']

    Args:
        model: None for every op × device × dtype; or a Keras model, for its layers, loss and
            optimizer as it was compiled.

    Returns:
        The printed rows, a list of dicts.

    Raises:
        ImportError: without TensorFlow; says what to install.
        TypeError: if it is no model.
    """
    native.require_tensorflow("fastgen.doctor")
    _check(model)
    rows = _op_rows() if model is None else _model_rows(model)
    print_table(_title(model), rows)
    return rows


def _check(model):
    import keras

    if model is not None and not isinstance(model, keras.Model):
        raise TypeError(f"doctor: model must be None or a Keras model. Received: {model!r}")


def _op_rows():
    devices = ["CPU", *(["GPU"] if dispatch.device_type() == "GPU" else [])]
    return [
        _row({}, op, dtype, device, xla=False)
        for op in dispatch.KERNELS
        for device in devices
        for dtype in dispatch.FLOATS
    ]


def _row(head, op, dtype, device, xla, size=None):
    choice = dispatch.choose(op, dtype, device, xla, size)
    place = {"op": op, "device": device, "dtype": dtype}
    return {**head, **place, "path": choice.path, "why": choice.why}


def _model_rows(model):
    compiled = getattr(model, "compiled", False)
    xla = bool(compiled and model.jit_compile)
    device = dispatch.device_type()
    parts = [(x.name, x, x.compute_dtype) for x in model._flatten_layers(include_self=False)]
    if compiled:
        loss, optimizer = model.loss, model.optimizer
        dtype = model.compute_dtype
        losses = [x for x in _flatten(loss) if x is not None]
        parts += [("loss", x, getattr(x, "dtype", None) or dtype) for x in losses]
        # The one that loss scaling wraps, if it does.
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        parts += [("optimizer", optimizer, model.variable_dtype)] if optimizer else []
    rows = []
    for name, part, dtype in parts:
        ops = getattr(part, "fused_ops", ())
        head = {"part": name, "type": part if isinstance(part, str) else type_name(part)}
        kernel = getattr(part, "kernel", None)  # of a dense layer that has been built
        size = None if kernel is None else (_batch(part), math.prod(kernel.shape))
        rows += [_row(head, op, dtype, device, xla, size) for op in ops]
        if not ops:
            stock = {"op": "", "device": device, "dtype": dtype, "path": "keras", "why": "stock"}
            rows.append({**head, **stock})
    return rows


def _batch(layer):
    """The number of rows that a layer was built for; 0 where any will do."""
    shape = getattr(layer.input, "shape", ()) if getattr(layer, "_inbound_nodes", ()) else ()
    return math.prod(n or 0 for n in shape[:-1]) if shape else 0


def _flatten(loss):
    import keras

    return keras.tree.flatten(loss)


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

    Args:
        title: string.
        rows: list of dicts of the same keys. Those that differ in `dtype` alone share a line.
    """
    from rich.console import Console
    from rich.table import Table

    lines = {}
    for row in rows:
        key = tuple((column, value) for column, value in row.items() if column != "dtype")
        lines.setdefault(key, []).extend([row["dtype"]] if "dtype" in row else [])
    columns = [column for column in (rows[0] if rows else ()) if column != "dtype"]
    columns += ["dtype"] if rows and "dtype" in rows[0] else []
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "op")  # a name to search for
    for key, dtypes in lines.items():
        cells = {**dict(key), "dtype": " ".join(dtypes)}
        table.add_row(*(cells[column] for column in columns))
    console = Console()
    console.print(title, highlight=False, soft_wrap=True)
    console.print(table)
