"""`python guard.py COMMAND...`: run a command for as long as somebody owns us.

The guard holds the reading end of a pipe as its stdin. When the other end closes, because its
owner said so or was killed, by whatever means, the guard ends the command: SIGTERM, and
SIGKILL after a while. A pipe works on every POSIX system, and unlike a look at the parent's id
it leaves no moment in which a death goes unseen.

SIGTERM to the guard ends the command at once. Its exit status is the command's. It is run by
its path and imports nothing of b2jobs, to be there at once and to stay small.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PATIENCE_SECONDS = 30.0


def main(command: list[str]) -> int:
    """Run *command* until it ends or stdin does; its exit status, 128 + N for a signal."""
    process: subprocess.Popen[bytes] | None = None
    is_asked = False

    def end_now(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked
        del number, frame
        is_asked = True
        if process is not None:
            process.kill()

    signal.signal(signal.SIGTERM, end_now)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    if is_asked:  # while it was being started: nobody had told it
        process.kill()
    threading.Thread(target=_end_with_stdin, args=(process,), daemon=True).start()
    status = process.wait()
    return status if status >= 0 else 128 - status


def _end_with_stdin(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 64):
        pass
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
