"""Does every kernel still beat what the user would otherwise run?

`pytest --benchmark-only` times, `python benchmarks/report.py` tells. A row is an entry of cases.py.
"""
