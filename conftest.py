"""A plain `pytest` runs tests/ and times nothing; `pytest --benchmark-only` times benchmarks/."""


def pytest_configure(config):
    asked = config.getoption("benchmark_only", False)  # by a plugin's option
    if asked and config.args_source is config.ArgsSource.TESTPATHS:
        config.args[:] = ["benchmarks"]
