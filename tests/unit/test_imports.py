"""What an application pays for `import b2jobs`, and what an import must not do."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = ("b2sdk", "celery", "kombu", "b2jobs_worker", "b2emulator", "pytest")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_the_producer_loads_neither_b2sdk_nor_celery_nor_the_engine() -> None:
    loaded = run("import sys, b2jobs, b2jobs.aio; print(' '.join(sys.modules))").split()
    assert not [name for name in loaded if name.split(".")[0] in FOREIGN]


def test_importing_connects_to_nothing() -> None:
    run(
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "import b2jobs; b2jobs.Client('redis://192.0.2.1:1/0')"
    )


def test_the_applications_own_celery_app_stays_current() -> None:
    out = run(
        "from celery import Celery, current_app\n"
        "mine = Celery('mine')\n"
        "import b2jobs; b2jobs.Client('redis://127.0.0.1:1/0')\n"
        "print(current_app.main)"
    )
    assert out.strip() == "mine"
