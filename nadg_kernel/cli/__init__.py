"""The command line `nadg`: the same flow as in a notebook, for terminals, scripts and CI."""

from nadg_kernel.cli.app import app, main

__all__ = ["app", "main"]
