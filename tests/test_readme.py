"""The README's Python blocks run, in order, and print what the comments beside them say."""

import re
from pathlib import Path

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_python_blocks(tmp_path, monkeypatch, fused):
    monkeypatch.chdir(tmp_path)
    printed, promised, names = [], [], {"print": lambda value: printed.append(str(value))}
    for block in BLOCKS:
        promised += re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
        exec(compile(block, "README.md", "exec"), names)
    assert printed == promised
    assert len(promised) >= 4
