"""Empty environments that get b2jobs from its wheel or sdist, as somebody else's would."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
# Which packages of ours an extra is for. Each extra has to be here: a test looks.
PACKAGES = {
    "": ["b2jobs"],
    "worker": ["b2jobs", "b2jobs_worker"],
    "emulator": ["b2jobs", "b2emulator"],
    "console": ["b2jobs", "b2jobs_console"],
    "tls": ["b2jobs", "b2emulator"],
    "worker,otel": ["b2jobs", "b2jobs_worker"],
    "worker,stores": ["b2jobs", "b2jobs_worker"],
    "local": ["b2jobs", "b2jobs_worker", "b2emulator", "b2jobs_console"],
}
_IMPORT_ALL = """
import importlib, pkgutil, sys
count = 0
for package in sys.argv[1:]:
    folder = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(folder, f"{package}."):
        if not module.name.endswith(".__main__"):
            count += 1
            try:
                importlib.import_module(module.name)
            except ImportError as error:
                print(module.name, error.name or error)
print("imported", count)
"""


class Environment:
    """A virtual environment in *folder* with *artifact*[*extra*] in it and nothing else."""

    def __init__(self, folder: Path, artifact: Path, extra: str) -> None:
        self.extra = extra
        self.bin = folder / "bin"
        base = os.environ.get("B2JOBS_TEST_PYTHON") or sys.executable
        wanted = (
            f"b2jobs[{extra}] @ {artifact.as_uri()}" if extra else f"b2jobs @ {artifact.as_uri()}"
        )
        uv("venv", "--quiet", "--no-project", "--python", base, folder)
        uv("pip", "install", "--quiet", "--python", self.python, wanted)

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def command(self) -> Path:
        return self.bin / "b2jobs"

    def check(self) -> None:
        """`pip check`: everything that is declared is there, in a version that is wanted."""
        uv("pip", "check", "--quiet", "--python", self.python)

    def not_importable(self) -> dict[str, str]:
        """Each module of ours that cannot be imported here, with the name that is missing."""
        lines = run(self.python, "-c", _IMPORT_ALL, *PACKAGES[self.extra]).splitlines()
        assert int(lines.pop().removeprefix("imported ")) > 30
        return dict(line.split(" ", 1) for line in lines)

    def installed(self) -> set[str]:
        """What is installed, in which version, and our own files with their digests."""
        versions = uv("pip", "freeze", "--exclude", "b2jobs", "--python", self.python)
        return {*versions.splitlines(), *self.ours()}

    def metadata(self) -> str:
        """What is said of b2jobs: its extras, and what it and each of them needs."""
        code = (
            "import importlib.metadata as m; print(m.distribution('b2jobs').read_text('METADATA'))"
        )
        return run(self.python, "-c", code)

    def ours(self) -> set[str]:
        code = (
            "import importlib.metadata as m\n"
            "for f in m.files('b2jobs'): print(f, f.hash and f.hash.value)"
        )
        lines = run(self.python, "-c", code).splitlines()
        return {line for line in lines if line.startswith("b2") and ".dist-info/" not in line}


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the sdist of this checkout."""
    run(Path(sys.executable), "-m", "hatchling", "build", "-d", folder, cwd=HOME)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def extras() -> set[str]:
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


def uv(*words: str | Path) -> str:
    return run(Path(sys.executable).with_name("uv"), *words, env=_index())


def run(
    program: Path, *words: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """What it prints, in an environment without anything of this checkout's.

    Raises:
        AssertionError: it ended with another status than 0; with all that it said.
    """
    done = subprocess.run(
        [program, *words],
        capture_output=True,
        text=True,
        timeout=180,
        env={**clean(), **(env or {})},
        cwd=cwd or "/",
        check=False,
    )
    assert done.returncode == 0, (
        f"{program} {' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    )
    return done.stdout


def clean() -> dict[str, str]:
    """The environment without what points at this checkout, its Redis or its secrets."""
    ours = ("B2JOBS", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@cache
def _index() -> dict[str, str]:
    """uv does not read what pip is told about the package index: tell it in its own words."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
        "constraint": "UV_CONSTRAINT",
    }
    told = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip looks at all of them too
    for line in run(Path(sys.executable), "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        variable = names.get(key.rpartition(".")[2])
        if variable and variable not in os.environ:
            told[variable] = value.strip("'")
    return told
