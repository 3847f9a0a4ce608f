"""`python -m fastgen.cli` is `fastgen`."""

from fastgen.cli import main

main()
