"""A plain `pytest` runs tests/ and times nothing; `pytest --benchmark-only` times benchmarks/."""


def pytest_configure(config):
    if config.option.benchmark_only and config.args_source is config.ArgsSource.TESTPATHS:
        config.args[:] = ["benchmarks"]
