"""`python -m b2jobs` is the command line."""

from b2jobs.cli import main

main()
