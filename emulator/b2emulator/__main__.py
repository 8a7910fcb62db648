"""`python -m b2emulator`."""

import gc

from b2emulator.cli import main

if __name__ == "__main__":
    status = main()
    gc.freeze()  # or else Python looks through all of it several times while it ends
    raise SystemExit(status)
