"""Being asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping_is_an_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for the first signal that asks to stop; ignore the next ones.

    What is being stopped by then takes seconds and must not be left half done.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        for other in _ASKING:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
