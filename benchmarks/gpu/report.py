"""The GPU's table and picture in the README, from results/h200, when a run has been committed."""

import os
from pathlib import Path

from benchmarks.gpu import results, table
from benchmarks.report import GREEN, GREY, RED, duration, insert, markdown, times

MARKERS = "<!-- gpu:begin -->", "<!-- gpu:end -->"
NAMES = {
    "torch": "PyTorch",
    "torch_graph": "PyTorch, CUDA graph",
    "torch_compile": "torch.compile",
    "torch_compile_graph": "torch.compile, CUDA graph",
    "jax": "JAX",
    "cupy": "CuPy",
    "triton": "Triton",
    "triton_graph": "Triton, CUDA graph",
    "keras": "Keras",
}
OURS = {"fastgen": "fastgen, C ABI", "fastgen_graph": "fastgen, CUDA graph"}
OURS |= {"fastgen_core": "fastgen.core"}
WORDS = {
    "copy": lambda bar: f"≥ {bar['at_least']:.0%} of the copy",
    "share": lambda bar: f"≥ {bar['at_least']:.0%} of the floor",
    "microseconds": lambda bar: f"≤ {bar['at_most']:g} µs",
}


def text(lab, picture=None):
    """What stands between the README's markers.

    Raises:
        ValueError: for a dry run, which measures nothing.
    """
    if lab.dry_run:
        raise ValueError("report: results must be of a GPU. Received: those of a dry run")
    header = ["on the GPU", "fastgen", "others: their time / ours", "share", "error", "bars"]
    lines = [header, ["---"] * len(header), *(_cells(x) for x in lab.rows.values())]
    place, versions = lab.environment, lab.environment.get("versions", {})
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    caption = f"{place.get('gpu')}, driver {place.get('driver')}; {known}. In the same run: "
    caption += table.ceilings_line(lab.ceilings)
    caption += ". ±: how far the medians of two runs are apart."
    shown = [markdown(lines), caption] + ([f"![GPU]({picture})"] if picture else [])
    return "\n\n".join(shown)


def _cells(records):
    row = records[0]
    seconds, figures, ours = row["seconds"], row["figures"], row["ours"]
    apart = results.spread(records)
    mine = row["status"].get(ours, "was not run")
    if ours in seconds:
        mine = f"**{duration(seconds[ours]['median'])}**"
        mine += f" ±{apart:.0%}" if apart is not None else ""
    others = [f"{name_of(x)} {_other(row, x)}" for x in seconds if x != ours]
    shares = {"copy": "of the copy", "share": "of the floor"}
    found = [f"{figures[x]['median']:.0%} {shares[x]}" for x in shares if x in figures]
    errors = row["errors"].get(ours, {})
    worst = f"{max(errors.values()):.1g}" if errors else ""
    bars = ", ".join(f"{MARKS[bar['met']]} {words(bar)}" for bar in row["bars"])
    return [row["title"], mine, ", ".join(others), ", ".join(found), worst, bars]


MARKS = {True: "✓", False: "✗", None: "unmeasured:"}


def name_of(provider):
    return {**NAMES, **OURS}.get(provider, provider)


def _other(row, provider):
    figure = row["figures"].get(provider)
    return times(figure["median"]) if figure else duration(row["seconds"][provider]["median"])


def words(bar):
    """What a bar asks for."""
    known = WORDS.get(bar["figure"])
    return known(bar) if known else f"≥ {bar['at_least']:g}× {name_of(bar['figure'])}"


def draw(lab, path):
    """A panel per timed row: how many times our time each provider takes."""
    from matplotlib.figure import Figure

    rows = [
        records[0] for records in lab.rows.values() if records[0]["ours"] in records[0]["seconds"]
    ]
    if not rows:
        return None
    height = -(-len(rows) // 2)
    figure = Figure(figsize=(11, 2.2 * height), layout="constrained")
    axes = figure.subplots(height, 2, squeeze=False).ravel()
    for ax, row in zip(axes, rows, strict=False):
        _panel(ax, row)
    for ax in axes[len(rows) :]:
        ax.set_visible(False)
    figure.suptitle(f"Time relative to fastgen on {lab.environment.get('gpu')} (lower is better)")
    figure.savefig(path, dpi=110)
    return path


def _panel(ax, row):
    seconds, ours = row["seconds"], row["seconds"][row["ours"]]["median"]
    names = sorted(seconds, key=lambda name: seconds[name]["median"])
    ratios = [seconds[name]["median"] / ours for name in names]
    colors = [GREEN if name == row["ours"] else GREY for name in names]
    ax.barh([name_of(name) for name in names], ratios, color=colors)
    for i, name in enumerate(names):
        ax.text(ratios[i], i, f" {duration(seconds[name]['median'])}", va="center", fontsize=8)
    for bar in row["bars"]:
        if bar["figure"] in seconds:
            ax.axvline(bar["at_least"], color=RED, linewidth=1, linestyle="--")
    ax.set_xlim(0, 1.25 * max(ratios))
    ax.invert_yaxis()
    ax.set_title(row["title"], fontsize=10, loc="left")
    ax.spines[["top", "right"]].set_visible(False)


def fill(readme, path, folder=results.FOLDER):
    """The README's text with the results in it; as it was where there are none.

    Args:
        readme: its text.
        path: where it lies.
        folder: of the results.
    """
    lab = results.read(folder)
    if not lab.rows:
        return readme
    picture = draw(lab, Path(folder) / "gpu.png")
    link = picture and Path(os.path.relpath(picture.resolve(), Path(path).resolve().parent))
    return insert(readme, text(lab, link and link.as_posix()), *MARKERS)
