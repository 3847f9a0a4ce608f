"""Makes the README's table and picture from the results of the last complete run.

`python benchmarks/report.py`; with `--check` it fails where a bar is missed.
"""

import argparse
import json
import os
import statistics
import sys
import textwrap
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results" / "cpu" / "ops.json"
README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
SYSTEMS = "<!-- systems:begin -->", "<!-- systems:end -->"
BATCHES = "batch 32", "batch 128"

NAMES = {
    "fused": "fastgen",
    "fused_xla": "fastgen inside XLA",
    "keras": "Keras",
    "keras_20": "Keras, 20 steps an execution",
    "keras_xla": "Keras XLA",
    "keras_scan": "Keras, as many a call",
    "keras_xla_scan": "Keras XLA, as many a call",
    "loop": "the book's loop",
    "eager": "eager",
    "py_function": "tf.py_function, NumPy",
    "numba": "our Numba kernel",
    "compiled": "nothing on the disk",
    "import": "of it Numba's import",
    "torch": "PyTorch",
    "torch_compile": "torch.compile",
    "jax": "JAX",
    "jax_scan": "JAX, as many a call",
    "openblas": "OpenBLAS",
    "stock": "Keras with or without XLA",
}
GREEN, GREY, RED = "#0b6e4f", "#9aa5b1", "#c1121f"
CEILINGS = {"triad": "triad", "fma": "FMA peak"}
PLACES = {"graph": "in graph", "call": "a call"}
MODEL = "VAE 784-150-100-[10]-100-150-784"


def duration(seconds):
    size, unit = next(
        (scale for scale in ((1, "s"), (1e-3, "ms")) if seconds >= scale[0]), (1e-6, "µs")
    )
    return f"{seconds / size:.{1 if seconds < 9.95 * size else 0}f} {unit}"


def times(value):
    return f"{value:.0f}×" if value >= 20 else f"{value:.1f}×"


def requirement(bar):
    """What a bar asks for, in words."""
    if bar["figure"] in CEILINGS:
        return f"≥ {bar['at_least']:.0%} of {CEILINGS[bar['figure']]}"
    name = NAMES.get(bar["figure"], "")
    if "at_most" in bar:
        return f"{name} ≤ {bar['at_most']:g}{'×' if name else ''}".strip()
    return f"≥ {bar['at_least']:g}× {name}".strip()


def verdict(row):
    """The bars of a row, met or not."""
    return ", ".join(f"{'✓' if bar['met'] else '✗'} {requirement(bar)}" for bar in row["bars"])


def is_op(row):
    return row["measure"] in PLACES


def is_update(row):
    return row["measure"] == "update"


def is_model(row):
    return row["measure"] in ("fit", "generate")


def is_training(row):
    return row["measure"] == "train"


def is_step(row):
    return row["measure"] == "step"


def is_sweep(row):
    return row["measure"] == "sweep"


def is_product(row):
    return row["measure"] == "product"


def is_timed(row):
    return is_op(row) or is_update(row) or is_step(row) or is_model(row) or is_training(row)


def op_table(rows):
    """A line per timed op: the median of every provider and its ratio to ours."""
    shown = providers_of(rows)
    header = ["float32, forward + gradients", *(NAMES[name] for name in shown), "share", "bars"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        cells = [time_cell(row, name) for name in shown]
        place = f"{row['title']}, {PLACES[row['measure']]}"
        lines.append([place, *cells, share(row["figures"]), verdict(row)])
    return markdown(lines)


def step_table(rows):
    """A line per kind of step of a GAN, as above."""
    return share_table("the book's GAN, float32", rows)


def product_table(rows):
    """A line per product, as above."""
    return share_table("a product on one thread, float32", rows)


def share_table(title, rows):
    shown = providers_of(rows)
    header = [title, *(NAMES[name] for name in shown), "share", "bars"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        cells = [time_cell(row, name) for name in shown]
        lines.append([row["title"], *cells, share(row["figures"]), verdict(row)])
    return markdown(lines)


def sweep_table(rows):
    """A line per size of batch: our time, alone."""
    header = ["the book's GAN, float32, fastgen", "a step", "an image", "GFLOP/s", "share"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        seconds = row["seconds"]["fused"]["median"]
        rate = f"{row['per_second']['fma']['median'] / 1e9:.0f}"
        each = duration(seconds / row["shape"][0])
        lines.append([row["title"], time_cell(row, "fused"), each, rate, share(row["figures"])])
    return markdown(lines)


def share(figures):
    """How much of the machine's ceiling, of bandwidth or of multiply-adds, we reach."""
    shares = [f"{figures[x]['median']:.0%} of {CEILINGS[x]}" for x in CEILINGS if x in figures]
    return ", ".join(shares)


def update_table(rows):
    """A line per optimizer, as above."""
    return table_of("an optimizer's step, float32", rows)


def model_table(rows):
    """A line per timed model, as above."""
    return table_of(f"{MODEL}, float32", rows)


def training_table(rows):
    """A line per autoencoder, as above."""
    return table_of("autoencoders through fit, a step, float32", rows)


def table_of(title, rows):
    shown = providers_of(rows)
    lines = [[title, *(NAMES[name] for name in shown)]]
    lines += [[row["title"], *(time_cell(row, name) for name in shown)] for row in rows]
    if any(row["bars"] for row in rows):
        lines = [
            [*cells, end] for cells, end in zip(lines, ["bars", *map(verdict, rows)], strict=True)
        ]
    return markdown([lines[0], ["---"] * len(lines[0]), *lines[1:]])


def providers_of(rows):
    return [name for name in NAMES if any(name in row["seconds"] for row in rows)]


def time_cell(row, name):
    if name not in row["seconds"]:
        return ""
    seconds = row["seconds"][name]
    if name == "fused":
        p20, p80 = duration(seconds["p20"]).split()[0], duration(seconds["p80"])
        return f"**{duration(seconds['median'])}** ({p20} – {p80})"
    return f"{duration(seconds['median'])} ({times(row['figures'][name]['median'])})"


def other_table(rows):
    """A line per row that is not a time: memory, growth, import."""
    lines = [["", "fastgen", "others", "bars"], ["---"] * 4]
    for row in rows:
        figures = dict(row["figures"])
        ours = figures.pop(row["bars"][0]["figure"])["median"]
        others = [f"{NAMES[name]} {value['median']:.2f}" for name, value in figures.items()]
        lines.append([row["title"], f"**{ours:.3f}**", ", ".join(others), verdict(row)])
    return markdown(lines)


def markdown(lines):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def caption(results):
    """Where the numbers come from: machine, versions, ceilings."""
    place = results["environment"]
    text = f"{place['cpu']}, {place['threads']} threads, {place['isa']}; {place['versions']}."
    measured = [row["roofline"] for row in results["rows"] if "roofline" in row]
    if measured:
        ceiling = {
            name: f"{statistics.median(one[name]['median'] for one in measured) / 1e9:.0f}"
            for name in sorted(measured[0])
        }
        triad, fma = (
            [v for name, v in ceiling.items() if kind in name] for kind in ("triad", "fma")
        )
        text += (
            f" In the same run: triad {' and '.join(triad)} GB/s on one and on all threads, "
            f"FMA peak {' and '.join(fma)} GFLOP/s."
        )
    rounds = max(
        row["figures"][name]["rounds"] for row in results["rows"] for name in row["figures"]
    )
    return text + (
        f" Medians of up to {rounds} rounds, in each of which every provider runs in turn. In"
        " brackets: p20 and p80 of ours; for the others how many times our time they take, the"
        " median of the rounds' ratios. All quantiles: `benchmarks/results`."
    )


def table(results):
    rows = results["rows"]
    kinds = {
        is_op: op_table,
        is_product: product_table,
        is_update: update_table,
        is_step: step_table,
        is_sweep: sweep_table,
        is_model: model_table,
        is_training: training_table,
        lambda row: not (is_timed(row) or is_sweep(row) or is_product(row)): other_table,
    }
    chosen = [(make, [row for row in rows if kind(row)]) for kind, make in kinds.items()]
    tables = [make(rows) for make, rows in chosen if rows]
    return "\n\n".join([*tables, caption(results)])


def summary(rows):
    """Lines for the terminal: medians with p20 and p80, and the bars."""
    for row in rows:
        yield f"{row['title']} {PLACES.get(row['measure'], '')}".strip()
        for name, seconds in row.get("seconds", {}).items():
            times_ours = row["figures"].get(name, {}).get("median")
            yield (
                f"  {NAMES.get(name, name):20} {duration(seconds['median']):>8} "
                f"({duration(seconds['p20'])} - {duration(seconds['p80'])})"
                + (f"  {times(times_ours)}" if times_ours else "")
            )
        for bar in row["bars"]:
            state = "met" if bar["met"] else "MISSED"
            yield f"  {state}: {requirement(bar)}, measured {bar['value']:.3g}"


def draw(results, path):
    """Speed relative to Keras, a panel per timed row; the bars to reach are the red lines."""
    from matplotlib.figure import Figure

    rows = [row for row in results["rows"] if is_timed(row)]
    columns = 2
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(11, 2.5 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax, row in zip(axes, rows, strict=False):
        draw_row(ax, row)
    for ax in axes[len(rows) :]:
        ax.set_visible(False)
    figure.suptitle(
        "Speed relative to Keras, ops in a tf.function (higher is better), float32, with gradients"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_row(ax, row):
    names = [name for name in NAMES if name in row["seconds"]]
    keras = row["seconds"]["keras"]["median"]
    speed = {name: keras / row["seconds"][name]["median"] for name in names}
    spread = [
        [speed[name] - keras / row["seconds"][name]["p80"] for name in names],
        [keras / row["seconds"][name]["p20"] - speed[name] for name in names],
    ]
    colors = [GREEN if name == "fused" else GREY for name in names]
    ax.barh(
        [NAMES[name] for name in names],
        [speed[name] for name in names],
        xerr=spread,
        color=colors,
        error_kw={"elinewidth": 1, "ecolor": "#333333"},
    )
    ends = {name: keras / row["seconds"][name]["p20"] for name in names}
    for name, end in ends.items():
        label = f"  {duration(row['seconds'][name]['median'])}"
        ax.text(end, names.index(name), label, va="center", fontsize=8)
    bars = [bar for bar in row["bars"] if "at_least" in bar]
    wanted = [(speed["fused"] * bar["at_least"] / bar["value"], bar) for bar in bars]
    reach = 1.2 * max([*ends.values(), *(x for x, _ in wanted)])
    ax.set_xlim(0, reach)
    # Their labels stand below the bars, a line each, turned inwards near the edge.
    ax.set_ylim(len(names) - 0.5 + 0.8 * len(wanted), -0.5)
    for i, (x, bar) in enumerate(sorted(wanted, key=lambda pair: pair[0])):
        ax.axvline(x, color=RED, linewidth=1, linestyle="--")
        y, words = len(names) + 0.8 * i - 0.1, f"  {requirement(bar)}  "
        side = "right" if x > reach / 2 else "left"
        ax.text(x, y, words, ha=side, va="center", color=RED, fontsize=8)
    ax.axvline(1, color="#333333", linewidth=0.6, zorder=0)
    title = f"VAE: {row['title']}" if is_model(row) else row["title"]
    place = f", {PLACES[row['measure']]}" if is_op(row) else ""
    # Longer ones would be cut at the figure's edge.
    title = "\n".join(textwrap.wrap(title + place, 44))
    ax.set_title(title, fontsize=10, loc="left")
    ax.spines[["top", "right"]].set_visible(False)


def insert(readme, text, begin=BEGIN, end=END):
    """Replace what lies between two markers of the README."""
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"README.md has no {begin} ... {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def block(results, picture, readme):
    """What stands between the markers of the README."""
    return f"{table(results)}\n\n![Speed relative to Keras]({_link(picture, readme)})"


def system_table(results):
    """A line per autoencoder: losses, and seconds of an epoch at each size of batch."""
    members = {}
    for row in filter(is_training, results["rows"]):
        members.setdefault(row["title"].rpartition(", batch")[0], []).append(row)
    header = ["system", "parameters"]
    header += [f"{what}: {who}" for what in ("loss", *BATCHES) for who in ("fastgen", "Keras")]
    lines = [header, ["---"] * len(header)]
    for title, rows in members.items():
        cells = [title, f"{rows[0]['parameters']:,}"]
        cells += [f"{rows[0]['losses'][name]:.5f}" for name in ("fused", "keras")]
        for row in rows:
            steps = -(-rows[0]["epoch"] // row["shape"][0])
            cells += [duration(steps * row["seconds"][x]["median"]) for x in ("fused", "keras")]
        lines.append(cells + [""] * (len(header) - len(cells)))
    return markdown(lines) if members else ""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text(encoding="utf-8"))
    for line in summary(results["rows"]):
        print(line)
    picture = options.results.with_suffix(".png")
    draw(results, picture)
    text = block(results, picture, options.readme)
    readme = insert(options.readme.read_text(encoding="utf-8"), text)
    if members := system_table(results):
        readme = insert(readme, members, *SYSTEMS)
    options.readme.write_text(with_gpu(readme, options.readme), "utf-8")
    missed = [bar for row in results["rows"] for bar in row["bars"] if not bar["met"]]
    return len(missed) if options.check else 0


def with_gpu(readme, path):
    """The README's text with the GPU's rows, too, where it has a place for them."""
    sys.path.append(str(FOLDER.parent))  # run as a script
    from benchmarks.gpu import report

    return report.fill(readme, path) if report.MARKERS[0] in readme else readme


def _link(picture, readme):
    return Path(os.path.relpath(picture.resolve(), readme.resolve().parent)).as_posix()


if __name__ == "__main__":
    sys.exit(main())
