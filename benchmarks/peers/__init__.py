"""Other frameworks, timed where they are installed: `make peers`."""
