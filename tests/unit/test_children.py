"""A worker's processes: forked from a parent that has loaded everything, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from b2jobs_worker import children, process
from b2jobs_worker.children import Forked

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only there is forked"),
    # pytest has threads of its own; what is forked here ends at once
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def fails() -> None:
    raise ValueError("on purpose")


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (lambda: None, 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit("why"), 1),
        (fails, 1),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
    ],
)
def test_a_forked_process_ends_as_what_it_runs(run: Callable[[], None], status: int) -> None:
    forked = Forked(run)
    assert forked.wait() == status
    assert (forked.poll(), forked.returncode) == (status, status)
    forked.send_signal(signal.SIGTERM)  # to nobody, whoever has its id by now


def test_a_forked_process_has_none_of_its_parents_handlers() -> None:
    """A SIGTERM that came while it was forked was noted in its copy of the parent, for ever."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        forked = Forked(lambda: time.sleep(60))
        forked.send_signal(signal.SIGTERM)
        assert forked.wait() == -signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)  # and the parent still has them, unblocked
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_all_that_a_process_needs_is_loaded_without_a_thread_or_a_connection() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "from b2jobs_worker import children, resources\n"
        "assert children.load()\n"
        "assert resources._made.cache_info().currsize == 0\n"
        "from b2jobs_worker.celery import app, consumer\n"
        "assert issubclass(app.app.events.Dispatcher, consumer.PromptDispatcher)\n"
        "from b2jobs.requests.kinds import KINDS, RESULTS\n"
        "built = [m for m in (*KINDS.values(), *RESULTS.values()) if m.__pydantic_complete__]\n"
        "print(*sorted({m.__name__ for m in built}))\n"
        "print([name for name in sys.modules if name.startswith('celery.bin')\n"
        "  or name.split('.')[0] in ('prompt_toolkit', 'rich', 'boto3', 'botocore', 'azure',\n"
        "    'google', 'aiohttp', 'jinja2', 'b2jobs_console', 'b2emulator')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    # Celery's command line alone takes as long as all the rest.
    assert done.stdout.splitlines() == ["Download TransferResult Upload", "[]"]


def test_nothing_is_forked_beside_another_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "load", lambda: None)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert children.load() is False
    stop.set()
    thread.join()

    def broken() -> None:
        raise ImportError("broken on purpose")

    monkeypatch.setattr(process, "load", broken)
    assert children.load() is False
    assert "broken on purpose" in caplog.text
