"""A profile as a table for the terminal."""

import itertools

STOCK_ROWS = 5  # of stock ops; the others share a line
NUMBERS = ("runs", "steps", "total", "a run", "stock", "moved", "computed", "roofline")


def print_profile(profile, console=None):
    """Print what a profile saw.

    Args:
        profile: `Profile` that has ended.
        console: `rich.console.Console`, by default of stdout.
    """
    from rich.console import Console

    console = console or Console()

    def line(text):
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    for text in summary(profile):
        line(text)
    if profile.rows:
        table, least = _table(profile.rows)
        if console.width < least:  # where numbers stay whole all the same
            table.width = least
        console.print(table, crop=False)
    for text in (*reasons(profile.rows), *profile.notes):
        line(text)


def summary(profile):
    """Lines above the table: where the time went, memory, the machine."""
    ours = sum(row["total"] for row in profile.rows if row["path"] != "stock")
    stock = sum(row["total"] for row in profile.rows if row["path"] == "stock")
    if not profile.rows:
        yield f"fastgen profile: no op ran in {time(profile.seconds)}"
    else:
        yield (
            f"fastgen profile: {time(profile.seconds)}, of it {time(ours)} in ops of fastgen and "
            f"{time(stock)} in stock ops, summed over threads"
        )
    if not ours:
        yield "kernels that XLA (jit_compile=True) or fastgen.core ran are not seen"
    if profile.memory:
        peaks = (f"{name} {amount(value, 'B')}" for name, value in profile.memory.items())
        yield f"peak memory: {', '.join(peaks)}"
    if profile.ceilings:
        bandwidth, flops = profile.ceilings
        yield f"this machine: triad {amount(bandwidth, 'B/s')}, FMA peak {amount(flops, 'FLOP/s')}"


def reasons(rows):
    """Why kernels have no ratio to stock ops, a line each with those it is true of."""
    found = {}
    for row in rows:
        if row["why"]:
            found.setdefault(row["why"], set()).add(f"{row['op']} {row['shape']}".strip())
    return [f"– {why}: {', '.join(sorted(ops))}" for why, ops in sorted(found.items())]


def _table(rows):
    """The table, and how wide it is at least."""
    from rich.table import Table

    lines = [cells(row) for row in shown(rows)]
    kept = [any(column) for column in zip(*lines, strict=True)]  # of stock ops alone most are empty
    names = itertools.compress(("op", "path", "shape", *NUMBERS), kept)
    lines = [tuple(itertools.compress(line, kept)) for line in lines]
    table, widths = Table(), []
    for name, column in zip(names, zip(*lines, strict=True), strict=True):
        wraps = name in ("shape", "roofline")
        words = [word for cell in column for word in (cell.split() if wraps else [cell])]
        widths.append(max(map(len, [*words, name])))
        justify = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=justify, min_width=widths[-1], no_wrap=not wraps)
    for line in lines:
        table.add_row(*line)
    return table, sum(widths) + 3 * len(widths) + 1


def shown(rows):
    """The rows of a table: all of ours, the first of stock ops, and one for all others."""
    ours = [row for row in rows if row["path"] != "stock"]
    stock = [row for row in rows if row["path"] == "stock"]
    first, others = stock[:STOCK_ROWS], stock[STOCK_ROWS:]
    if others:
        sums = {key: sum(row[key] for row in others) for key in ("launches", "steps", "total")}
        name = f"{len(others)} other stock ops"
        first.append({**others[0], **sums, "op": name, "seconds": sums["total"] / sums["launches"]})
    return ours + first


def cells(row):
    """A row as strings."""
    dtype = "" if row["dtype"] in (None, "float32") else f", {row['dtype']}"
    where = f" on {row['device']}" if row["device"] not in ("", "CPU") else ""
    return (
        row["op"],
        row["path"] + where,
        row["shape"] + dtype,
        f"{row['launches']:,}",
        f"{row['steps']:,}" if row["steps"] != row["launches"] else "",
        time(row["total"]),
        time(row["seconds"]),
        "–" if row["why"] else f"{row['stock']:.1f}×" if row["stock"] else "",
        amount(row["bandwidth"], "B/s") if row["bandwidth"] else "",
        amount(row["flops_rate"], "FLOP/s") if row["flops_rate"] else "",
        f"{row['share']:.0%} {row['bound']}" if row["share"] else "",
    )


def time(seconds):
    """Seconds, with a unit that suits."""
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            return f"{seconds * scale:.3g} {unit}" if seconds * scale < 1e3 else f"{seconds:,.0f} s"


def amount(value, unit):
    """A number of bytes or operations, with a prefix that suits."""
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1)):
        if value >= scale or not prefix:
            return f"{value / scale:.3g} {prefix}{unit}"
