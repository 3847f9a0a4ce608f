"""What the files of a lab run hold, read back: for its table and for the report."""

import json
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "results" / "h200"


@dataclass
class Lab:
    """Lines by kind; rows by name, a record for each run of them."""

    environment: dict = field(default_factory=dict)
    ceilings: dict = field(default_factory=dict)
    pieces: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)
    dry_run: bool = False


def read(folder):
    """All *.jsonl of a folder; a line that was cut off by a kill is passed over."""
    lab = Lab()
    for path in sorted(Path(folder).glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            _take(lab, line)
    return lab


def _take(lab, line):
    kind = line.get("kind")
    lab.dry_run |= bool(line.get("dry_run"))
    if kind == "environment":
        lab.environment.update(line)
    elif kind == "ceilings" and line["values"]:
        lab.ceilings = lab.ceilings or line["values"]
    elif kind == "piece":
        lab.pieces.append(line)
    elif kind == "lost":
        lab.lost.append(line)
    elif kind == "row":
        lab.rows.setdefault(line["name"], []).append(line)


def spread(records):
    """How far the medians of ours are apart in several runs, relative to the least; or None."""
    medians = [x["seconds"][x["ours"]]["median"] for x in records if x["ours"] in x["seconds"]]
    return max(medians) / min(medians) - 1 if len(medians) > 1 else None
