"""`python -m b2emulator`."""

from b2emulator.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
