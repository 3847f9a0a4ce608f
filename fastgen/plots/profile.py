"""Where the time of a program went, and how near its kernels are to what the machine allows."""

from fastgen.plots.page import finish, new_figure, text_width

MOST, LEAST = 12, 0.01  # bars, and the shortest beside the longest
BAR, HEADER, AXIS = 30, 40, 50  # pixels
TIMES, SHARES = 420, 260  # width of a panel
COLOURS = {"fused": "tab:blue", "composite": "tab:orange", "stock": "tab:gray"}
STOCK = "lightsteelblue"  # what stock ops would take


def profile(rows, path=None):
    """Draws the time of each op, what stock ops would take for it, and its share of the roofline.

    Example:
    >>> import fastgen.plots
    >>> row = {"op": "gaussian_kl", "path": "fused", "shape": "64×10", "total": 2e-3}
    >>> row |= {"stock": 3.5, "share": 0.4, "bound": "memory"}
    >>> figure = fastgen.plots.profile([row], path="profile.png")

    Args:
        rows: `rows` of a `fastgen.profile`; the dozen of the most time is drawn, as far as the
            bars can be seen.
        path: `.png` to write.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ValueError: No rows.
    """
    if not rows:
        raise ValueError("profile: rows must be those of a profile in which an op ran. Received: 0")
    chosen = sorted(rows, key=lambda row: -row["total"])[:MOST]
    chosen = [row for row in chosen if row["total"] >= LEAST * chosen[0]["total"]]
    labels = [_label(row) for row in chosen]
    margin = 20 + max(map(text_width, labels))
    figure = new_figure(margin + TIMES + SHARES + 40, HEADER + BAR * len(chosen) + AXIS)
    width, height = figure.get_size_inches() * figure.dpi

    def panel(left, wide):
        box = (left / width, AXIS / height, wide / width, BAR * len(chosen) / height)
        axes = figure.add_axes(box)
        axes.set_ylim(len(chosen) - 0.5, -0.5)
        axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(False)
        return axes

    times, shares = panel(margin, TIMES), panel(margin + TIMES + 20, SHARES)
    _draw_times(times, chosen)
    times.set_yticks(range(len(chosen)), labels)
    times.tick_params(axis="y", length=0)
    _draw_shares(shares, chosen)
    return finish(figure, path)


def _label(row):
    return f"{row['op']} {row['shape']}".strip()


def _draw_times(axes, rows):
    unit, scale = _unit(max(row["total"] for row in rows))
    drawn = set()
    for i, row in enumerate(rows):
        total = row["total"] * scale
        if row.get("stock"):
            known = None if "in stock ops" in drawn else "in stock ops"
            drawn.add("in stock ops")
            axes.barh(i, total * row["stock"], 0.75, color=STOCK, label=known)
            text = f" {row['stock']:.1f}×"
            axes.text(total * max(1, row["stock"]), i, text, va="center", fontsize=9)
        known = None if row["path"] in drawn else row["path"]
        drawn.add(row["path"])
        axes.barh(i, total, 0.4, color=COLOURS[row["path"]], label=known)
    axes.set_xlabel(unit)
    axes.set_title("time", fontsize=10)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def _draw_shares(axes, rows):
    for i, row in enumerate(rows):
        if row.get("share"):
            axes.barh(i, 100 * row["share"], 0.4, color=COLOURS[row["path"]])
            text = f" {row['share']:.0%} {row['bound']}"
            clear = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # of the line at 100 %
            axes.text(100 * row["share"], i, text, va="center", fontsize=9, bbox=clear)
    most = max((100 * row["share"] for row in rows if row.get("share")), default=0)
    axes.set_xlim(0, 1.9 * max(most, 55))  # room for the text of the longest
    axes.set_xticks([0, 50, 100] if most < 200 else [0, 100])
    axes.axvline(100, color="black", linewidth=0.8, zorder=0)
    axes.set_xlabel("%")
    axes.set_title("of the roofline", fontsize=10)


def _unit(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3)):
        if seconds * scale >= 1:
            return unit, scale
    return "µs", 1e6
