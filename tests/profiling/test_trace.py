"""Traces made by hand: threads, nested events, a GPU's streams."""

import pytest

pytest.importorskip("tensorflow")

from tensorflow.tsl.profiler.protobuf import xplane_pb2

from fastgen.profiling.ceilings import Ceilings
from fastgen.profiling.rows import rows_of
from fastgen.profiling.trace import Call, Tensor, Trace, read_attributes, read_tensors

US = 10**6  # picoseconds


def plane(space, name, *lines):
    """A plane with lines of events `(name, start, length)` in microseconds, perhaps with stats."""
    made = space.planes.add(name=name)
    names, stats = {}, {}
    for events in lines:
        line = made.lines.add()
        for event_name, start, length, *more in events:
            number = names.setdefault(event_name, len(names) + 1)
            made.event_metadata[number].name = event_name
            event = line.events.add(
                metadata_id=number, offset_ps=start * US, duration_ps=length * US
            )
            for key, value in (more[0] if more else {}).items():
                stat = stats.setdefault(key, len(stats) + 1)
                made.stat_metadata[stat].name = key
                event.stats.add(metadata_id=stat, str_value=value)


def read(*lines):
    space = xplane_pb2.XSpace()
    plane(space, "/host:CPU", *lines)
    return Trace(space)


def micro(seconds):
    return [round(1e6 * s, 6) for s in seconds]


def calls(trace):
    return {(c.op, c.path, c.device): micro(s) for c, s in trace.calls.items()}


def test_time_is_that_of_the_innermost():
    trace = read(
        [
            ("loop/while:While", 0, 100),
            ("Exp:Exp", 10, 40),
            ("inner/Mul:Mul", 20, 5),
            ("ExecutorState::Process", 60, 30),
            ("inner/Mul:Mul", 65, 7),
        ],
        [("EagerLocalExecute: Mul", 0, 11), ("EagerLocalExecute: __inference_f_7", 12, 50)],
    )
    assert {op: (n, *micro([s])) for op, (n, s) in trace.stock.items()} == {
        "Exp": (1, 35.0),
        "Mul": (3, 23.0),
    }
    assert trace.calls == {}


def test_an_op_of_ours_counts_whole_and_once():
    inside = {"inputs": "float[3,4] int64[2] &float[5]", "attributes": 'kind="kl" N=1'}
    trace = read(
        [
            ("a/while/kl:FastgenGaussianKl", 0, 30),
            ("fastgen.gaussian_kl", 5, 20, inside),
            ("AddV2:AddV2", 7, 2),  # perhaps of another node that this thread took over
            ("EagerLocalExecute: FastgenGaussianKl", 40, 30),
            ("fastgen.gaussian_kl", 45, 10, inside),
        ]
    )
    ((call, seconds),) = trace.calls.items()
    assert micro(seconds) == [20.0, 10.0]
    assert call.attributes == (("kind", "kl"), ("N", 1))
    assert call.inputs == (
        Tensor("float", (3, 4)),
        Tensor("int64", (2,)),
        Tensor("float", (5,), True),
    )
    assert not trace.stock


def test_composites():
    trace = read(
        [
            ("m/fastgen.gaussian_kl/Exp:Exp", 0, 4),
            ("m/fastgen.gaussian_kl/Sum:Sum", 5, 2),
            ("m/fastgen.gaussian_kl/Exp:Exp", 10, 4),
            ("m/fastgen.gaussian_kl/Sum:Sum", 15, 2),
            ("m/gradient_tape/fastgen.gaussian_kl/Mul:Mul", 20, 1),
            ("fastgen.gan_step/gradient_tape/Mul:Mul", 22, 1),
            ("gradient_tape/fastgen.gan_step/Mul:Mul", 24, 1),
            ("other/fastgen.gaussian_kl_1/Exp:Exp", 26, 3),
            ("dense/MatMul:MatMul", 30, 9),
        ],
        [
            ("fastgen.dropout", 0, 50, {"path": "composite"}),
            ("EagerLocalExecute: Mul", 10, 5),
        ],
    )
    assert calls(trace) == {
        ("gaussian_kl", "composite", "CPU"): [6.0, 6.0, 3.0],
        ("gaussian_kl_grad", "composite", "CPU"): [1.0],
        ("gan_step", "composite", "CPU"): [2.0],
        ("dropout", "composite", "CPU"): [50.0],
    }
    assert set(trace.stock) == {"MatMul"}


def test_kernels_of_a_gpu():
    """The host launches what the streams run, whose events name the op."""
    space = xplane_pb2.XSpace()
    kl = "model/kl:FastgenGaussianKl"
    plane(
        space,
        "/device:GPU:0",
        [
            ("kl_rows", 50, 300, {"tf_op": kl}),
            ("kl_sum", 350, 100, {"tf_op": kl}),
            ("ampere_gemm", 500, 70, {"tf_op": "dense/MatMul:MatMul"}),
            ("MemcpyH2D", 600, 10),
        ],
    )
    given = {"device": "GPU", "inputs": "float[8,2] float[8,2]"}
    plane(
        space,
        "/host:CPU",
        [
            (kl, 0, 9),
            ("fastgen.gaussian_kl", 2, 6, given),
            (kl, 10, 9),
            ("fastgen.gaussian_kl", 12, 6, given),
        ],
    )
    trace = Trace(space)
    assert calls(trace) == {("gaussian_kl", "fused", "GPU"): [200.0, 200.0]}
    assert next(iter(trace.calls)).inputs[0].shape == (8, 2)
    assert micro([trace.stock["MatMul"][1]]) == [70.0]


def of_gpu(host, streams, node="model/kl:FastgenGaussianKl"):
    """A trace of gaussian_kl: start and shape of each run, start and length of each kernel."""
    space = xplane_pb2.XSpace()
    events = []
    for start, shape in host:
        given = {"device": "GPU", "inputs": f"float[{shape}]"}
        events += [(node, start, 9), ("fastgen.gaussian_kl", start + 2, 6, given)]
    plane(space, "/host:CPU", events)
    tf_op = {"tf_op": "model/kl:FastgenGaussianKl"}
    plane(space, "/device:GPU:0", [("kl", *each, tf_op) for each in streams])
    found = Trace(space).calls.items()
    return {(call.inputs[0].shape, call.device): micro(seconds) for call, seconds in found}


@pytest.mark.parametrize(
    "node", ["model/kl:FastgenGaussianKl", "EagerLocalExecute: FastgenGaussianKl"]
)
def test_shapes_on_a_gpu_have_their_own_kernels(node):
    """As an epoch's last batch has, which is smaller."""
    host = [(0, "8,2"), (10, "8,2"), (20, "3,2")]
    streams = [(50, 300), (350, 100), (450, 310), (760, 110), (870, 20), (890, 5)]
    assert of_gpu(host, streams, node) == {
        ((8, 2), "GPU"): [400.0, 420.0],
        ((3, 2), "GPU"): [25.0],
    }
    launches = {((8, 2), "GPU, its launch"): [6.0, 6.0], ((3, 2), "GPU, its launch"): [6.0]}
    assert of_gpu(host, streams[:-1], node) == launches  # whose are they?
    assert of_gpu(host, [], node) == launches


def test_a_gpu_whose_streams_are_not_in_the_trace():
    given = {"device": "GPU", "inputs": "float[8,2] float[8,2]", "outputs": "float[8]"}
    trace = read([("fastgen.gaussian_kl", 2, 6, given)])
    assert calls(trace) == {("gaussian_kl", "fused", "GPU, its launch"): [6.0]}
    (row,) = rows_of(trace, Ceilings(1e9, 1e9))
    assert row["shape"] == "8×2" and row["bandwidth"] is row["share"] is row["bytes"] is None


def test_a_kernel_of_a_user_has_its_name():
    stats = {"attributes": 'kernel="swish:12ab" seeds=0', "inputs": "float[4]"}
    trace = read([("fastgen.elementwise", 0, 2, stats)])
    assert calls(trace) == {("swish", "fused", "CPU"): [2.0]}


def test_nothing():
    assert Trace(xplane_pb2.XSpace()).calls == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a="x" b=[0,2] c=true d=-3', {"a": "x", "b": (0, 2), "c": True, "d": -3}),
        ("names=[selu,linear] none=[]", {"names": ("selu", "linear"), "none": ()}),
        ("", {}),
    ],
)
def test_attributes(text, value):
    assert read_attributes(text) == value


def test_tensors():
    assert read_tensors("half[] &double[3] uint8[2,0]") == (
        Tensor("half", ()),
        Tensor("double", (3,), True),
        Tensor("uint8", (2, 0)),
    )
    assert Call("x", "fused").inputs == ()
