"""What the tests of sources share: a folder root, and doing something as another user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from b2jobs_worker.settings import Root, Settings


def served(folder: Path, access: str = "read-write", **more: object) -> Settings:
    """Settings with the root `.my` at *folder*."""
    root = Root.model_validate({"url": f"file://{folder}", "access": access})
    return Settings(roots={".my": root}, **more)  # type: ignore[arg-type]


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach. pytest's own are closed, again with each run."""
    folder = Path(tempfile.mkdtemp(prefix="b2jobs-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(folder: Path, code: str) -> str:
    """What *code* prints when an ordinary user runs it in *folder*.

    Nothing is unreadable to root, so the process becomes nobody first (having imported what
    *code* needs: the interpreter's own folder may be closed to nobody); *folder* must
    be open to it, see `open_folder`. Where the tests run as an ordinary user, that one will do.
    `attempt` prints the code of the JobError that its argument raises.
    """
    become = (
        "import os, resource, signal\n"
        "from b2jobs.errors import JobError\n"
        "from b2jobs_worker.settings import Root, Settings\n"
        "import b2jobs_worker.secrets, b2jobs_worker.sources.listing\n"
        "from b2jobs_worker.sources import open_sink, open_source\n"
        "root = Root(url='file://' + os.getcwd(), access='read-write')\n"
        "settings = Settings(roots={'.my': root})\n"
        "def attempt(act):\n"
        "    try: print(act())\n"
        "    except JobError as error: print(error.code, error.act)\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", become + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
