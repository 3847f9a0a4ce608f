"""What TensorFlow's profiler has seen: runs of our ops, of their composites and of stock ops.

On the CPU a run of an op is an event of a thread, and events nest: time is counted once, for the
innermost op. The kernels of a GPU are events of its streams, which name the op that launched them.
"""

import collections
import functools
import re
from pathlib import Path
from typing import NamedTuple

from fastgen import dispatch

# As executors name the run of a node: scope/name:Type. And as a call outside a graph is named.
NODE = re.compile(r"([^\s:]+):([A-Z_]\w*)")
CALL = re.compile(r"EagerLocalExecute: (\w+)")
OURS = re.compile(r"fastgen\.(\w+)")
# What csrc/tensorflow/traced.h says of a run.
PARTS = ("device", "attributes", "inputs", "outputs")
LAUNCH = "GPU, its launch"  # where the streams are not in the trace
TAPES = ("gradient_tape", "gradients")
# A scope that composites open: see dispatch.composite_scope.
SCOPE = re.compile(r"fastgen\.(\w+?)(?:_\d+)?$")
# They run other nodes, whose time is their own.
CONTROL = re.compile(
    r"(Stateless|Stateful)?(While|If|Case|For|PartitionedCall)|__\w+|_(Arg|Retval|(Host)?(Send|Recv))"
)


class Tensor(NamedTuple):
    """Dtype and shape of what goes into an op or comes out; or of a variable that it updates."""

    dtype: str
    shape: tuple
    variable: bool = False


class Call(NamedTuple):
    """What runs of an op have in common that are counted together."""

    op: str
    path: str
    device: str = "CPU"
    attributes: tuple = ()
    inputs: tuple = ()
    outputs: tuple = ()


class Trace:
    """The runs in an `XSpace`, the format of tf.profiler.

    Attributes:
        calls: seconds of each run, by `Call`.
        stock: launches and seconds of the stock ops outside composites, by type.
    """

    def __init__(self, space):
        self.calls = collections.defaultdict(list)
        self.stock = collections.defaultdict(lambda: [0, 0.0])
        self._nodes = collections.defaultdict(list)  # (op, scope, device) → (node, seconds)
        self._launches = collections.defaultdict(list)  # node → (start, Call) of runs on a GPU
        for plane in sorted(space.planes, key=lambda plane: plane.name.startswith("/device")):
            if plane.name == "/host:CPU":
                self._read_host(plane)
            elif plane.name.startswith("/device:GPU"):
                self._read_gpu(plane)
        self._count_composites()

    def _read_host(self, plane):
        kinds = {key: _kind(meta.name) for key, meta in plane.event_metadata.items()}
        for line in plane.lines:
            events = [e for e in line.events if kinds[e.metadata_id]]
            events.sort(key=lambda e: (e.offset_ps, -e.duration_ps))
            open_ = []
            for event in events:
                while open_ and open_[-1].end <= event.offset_ps:
                    self._close(open_.pop(), plane)
                run = _Run(kinds[event.metadata_id], event, 1000 * line.timestamp_ns)
                if run.kind[0] == "wrapper":
                    run.node = plane.event_metadata[event.metadata_id].name
                if open_:
                    open_[-1].within += event.duration_ps
                    run.inside = open_[-1].inside or open_[-1].kind[0] == "op"
                    run.node = run.node or open_[-1].node
                open_.append(run)
            while open_:
                self._close(open_.pop(), plane)

    def _close(self, run, plane):
        kind, name, scope = run.kind
        seconds = max(0, run.event.duration_ps - run.within) * 1e-12
        if run.inside:
            return
        if kind == "op":
            call = _call(name, _stats(plane, run.event))
            self.calls[call].append(run.event.duration_ps * 1e-12)
            if call.device == LAUNCH:
                self._launches[run.node or name].append((run.start, call))
        elif kind == "composite":
            self._nodes[name, scope, "CPU"].append((run.event.metadata_id, seconds))
        elif kind == "stock":
            self._add_stock(name, seconds)

    def _add_stock(self, name, seconds):
        self.stock[name][0] += 1
        self.stock[name][1] += seconds

    def _read_gpu(self, plane):
        kernels = collections.defaultdict(list)  # node → (start, seconds)
        for line in plane.lines:
            for event in line.events:
                node = _stats(plane, event).get("tf_op", "")
                kind, name, scope = _kind(node) or (None,) * 3
                seconds = event.duration_ps * 1e-12
                if kind == "wrapper":  # a kernel of ours
                    kernels[node].append((1000 * line.timestamp_ns + event.offset_ps, seconds))
                elif kind == "composite":
                    self._nodes[name, scope, "GPU"].append((event.metadata_id, seconds))
                elif kind == "stock":
                    self._add_stock(name, seconds)
        # Nodes first that the host names, too: what is left of an op's runs is of the others.
        for node in sorted(kernels, key=lambda node: node not in self._launches):
            runs = sorted(self._take_launches(node), key=lambda run: run[0])
            seconds = [seconds for _, seconds in sorted(kernels[node])]
            self._move_to_gpu([call for _, call in runs], seconds)

    def _take_launches(self, node):
        if node in self._launches:
            return self._launches.pop(node)
        op = _kind(node)[1]
        named = [x for x, runs in self._launches.items() if runs[0][1].op == op]
        return [run for x in named for run in self._launches.pop(x)]

    def _move_to_gpu(self, calls, kernels):
        """The host only launches such runs: their time is that of their kernels.

        Runs that are alike have equal parts of it. Others, of several shapes say, have the kernels
        in order, if all have as many; else they stay launches.
        """
        each, rest = divmod(len(kernels), max(len(calls), 1))
        if len(set(calls)) == 1:
            seconds = [sum(kernels) / len(calls)] * len(calls)
        elif calls and not rest:
            seconds = [sum(kernels[i * each : (i + 1) * each]) for i in range(len(calls))]
        else:
            return
        for call, took in zip(calls, seconds, strict=True):
            self.calls[call].pop()
            self.calls[call._replace(device="GPU")].append(took)
        for call in set(calls):
            if not self.calls[call]:
                del self.calls[call]

    def _count_composites(self):
        """A composite ran as often as the node in it that ran most often."""
        for (op, _, device), nodes in self._nodes.items():
            runs = max(collections.Counter(node for node, _ in nodes).values())
            total = sum(seconds for _, seconds in nodes)
            call = Call(op, dispatch.COMPOSITE, device)
            self.calls[call] += [total / runs] * runs


class _Run:
    def __init__(self, kind, event, began):
        self.kind, self.event = kind, event
        self.start = began + event.offset_ps  # picoseconds, of all threads' clock
        self.node = ""  # the graph's, that runs it
        self.end = event.offset_ps + event.duration_ps
        self.within = 0  # picoseconds of events inside
        self.inside = False  # of an op that is counted whole


def _kind(name):
    """What an event is: its kind, the op and the scope of a composite; None if it is no op's."""
    if ours := OURS.fullmatch(name):
        return "op", ours[1], None
    node, call = NODE.fullmatch(name), CALL.fullmatch(name)
    if not node and not call:
        return None
    path, type_ = node.groups() if node else ("", call[1])
    if type_.startswith("Fastgen"):
        return "wrapper", _snake_case(type_.removeprefix("Fastgen")), None
    if CONTROL.fullmatch(type_):
        return "control", type_, None
    return _composite(path.split("/")) or ("stock", type_, None)


def _composite(parts):
    """The composite that a node of a graph is part of, by its path; None if it is of none."""
    for i, part in enumerate(parts[:-1]):
        if found := SCOPE.match(part):
            op, before = found[1], parts[:i]
            scope = [name for name in before if name not in TAPES]  # which put theirs in front
            kernel = dispatch.kernel_of(op)
            backwards = len(scope) < i and (kernel is None or kernel.differentiable)
            return "composite", op + "_grad" * backwards, "/".join([*scope, part])
    return None


def _snake_case(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _call(op, stats):
    return _read_call(op, *(stats.get(key, "") for key in ("path", *PARTS)))


@functools.cache
def _read_call(op, path, device, attributes, *tensors):
    if path == dispatch.COMPOSITE:
        return Call(op, dispatch.COMPOSITE)
    named = read_attributes(attributes)
    if kernel := named.get("kernel"):  # of fastgen.jit: NAME:KEY
        op = kernel.rpartition(":")[0]
    where = LAUNCH if device == "GPU" else device or "CPU"
    return Call(op, dispatch.FUSED, where, tuple(named.items()), *map(read_tensors, tensors))


def _stats(plane, event):
    names = plane.stat_metadata
    return {
        names[stat.metadata_id].name: stat.str_value or names[stat.ref_value].name
        for stat in event.stats
        if stat.str_value or stat.ref_value
    }


def read_tensors(text):
    """`float[32,10] &int64[]` as `Tensor`s, of which & marks variables."""
    found = re.findall(r"(&?)(\w+)\[([\d,]*)\]", text)
    return tuple(
        Tensor(dtype, tuple(int(n) for n in shape.split(",") if n), bool(variable))
        for variable, dtype, shape in found
    )


def read_attributes(text):
    """`activation="relu" kernels=[0, 2] need_x=true` as a dict."""
    found = re.findall(r'(\w+)=("[^"]*"|\[[^\]]*\]|\S+)', text)
    return {name: _value(value) for name, value in found}


def _value(text):
    if text.startswith("["):
        return tuple(_value(part.strip()) for part in text[1:-1].split(",") if part.strip())
    if text in ("true", "false"):  # in a list they are 1 and 0
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text.strip('"')


def load(folder):
    """The `XSpace` that tf.profiler has written last into a folder, None if there is none."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    paths = sorted(Path(folder).rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime_ns)
    if not paths:
        return None
    space = xplane_pb2.XSpace()
    space.ParseFromString(paths[-1].read_bytes())
    return space
