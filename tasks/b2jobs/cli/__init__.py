"""The command line: one file for each noun; `main` is the entry point."""

from b2jobs.cli.main import main

__all__ = ["main"]
