"""What the README and docs/howto.md show, run in their order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from celery import Celery

import b2jobs
from acceptance.conftest import run
from b2jobs.cli.main import cli
from support.emulator import LocalB2
from support.installation import Installation

HOME = Path(__file__).resolve().parents[2]
HOWTO = (HOME / "docs" / "howto.md").read_text()
README = (HOME / "README.md").read_text()


def commands(page: str) -> list[list[str]]:
    """The lines of a page that run b2jobs, as words."""
    return [
        shlex.split(line, comments=True) for line in re.findall(r"^ {4}(b2jobs .+)$", page, re.M)
    ]


def snippets(page: str) -> list[str]:
    return re.findall(r"^```python\n(.+?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(make_installation: Callable[..., Installation], own_b2: LocalB2) -> Installation:
    """Workers on an empty account, with the files that the pages name."""
    installation = make_installation(account=own_b2.account)
    (installation.data / "somecollection").mkdir()
    (installation.data / "somecollection" / "somefile.png").write_bytes(b"PNG")
    installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")
    return installation


def test_the_commands_of_the_howto(installed: Installation) -> None:
    notes = ["upload", "data:,hello", "b2://some-bucket/notes.txt", "--wait"]
    job_id = ""
    seen = []
    # Those of two accounts and of other stores are in test_two_accounts.py and test_sync_store.py.
    elsewhere = {"--source-account", "s3://other-bucket/"}
    for _, *written in commands(HOWTO):
        if any(other in word for other in elsewhere for word in written):
            continue
        words = [job_id if word == "ID" else word for word in written]
        done = run(tuple(words), installed.env())
        assert done.status == 0, (words, done.err)
        if words[:2] == ["bucket", "create"]:
            job_id = run((*notes, "--json"), installed.env()).json["job"]
        seen.append(words[0])

    assert {"check", "bucket", "upload", "share", "download", "delete", "job"} == set(seen)
    assert (installed.data / "copy.png").read_bytes() == b"PNG"
    assert run(("bucket", "list"), installed.env()).out == ""


def test_the_python_of_the_howto(
    installed: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = snippet_names(installed, monkeypatch)
    ours = [snippet for snippet in snippets(HOWTO) if "app." not in snippet]
    assert len(ours) < len(snippets(HOWTO))  # how it looks beside Celery, as in the README
    for snippet in ours:
        exec(snippet, names)
        if 'bucket("create"' in snippet:
            b2jobs.upload("data:,hello", "b2://some-bucket/notes.txt").wait()
        names["job_id"] = names["job"].id if "job" in names else ""

    assert names["text"] == "hello"
    assert "Authorization=" in capsys.readouterr().out
    assert (installed.data / "copy.png").read_bytes() == b"PNG"
    assert installed.client.bucket("list").wait(60).buckets == []


def test_the_python_of_the_readme(
    installed: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = snippet_names(installed, monkeypatch)
    installed.client.bucket("create", "some-bucket").wait(60)
    ours, foreign = snippets(README)

    exec(ours, names)
    options = {"global_keyprefix": installed.key_prefix}
    app = Celery(broker=installed.redis_url, backend=installed.redis_url, set_as_current=False)
    app.conf.update(broker_transport_options=options, result_backend_transport_options=options)
    locations = ["data://.my/somecollection/somefile.png", "b2://some-bucket/again.png"]
    for location in locations:
        foreign = foreign.replace('"..."', f'"{location}"', 1)
    exec(foreign, {"app": app, "b2jobs": b2jobs})
    app.close()

    said = capsys.readouterr().out
    assert "remotefolder/remotefile.png" in said
    assert "again.png" in said


def test_the_commands_of_the_readme_are_commands() -> None:
    section = README.split("## The command line")[1].split("\n## ")[0]
    named = {
        (word, action)
        for block in re.findall(r"^ {4}(b2jobs .+)$", section, re.MULTILINE)
        for verb, rest in re.findall(r"b2jobs ([a-z|]+)((?: [a-z|]+)?)", block)
        for word in verb.split("|")
        for action in (rest.strip().split("|") if rest.strip() else [""])
    }
    assert len(named) > 15

    for verb, action in sorted(named):
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None, verb
        if action:
            assert isinstance(command, click.Group)
            assert action in command.commands


def test_the_configuration_of_the_readme_is_accepted(
    tmp_path: Path, installed: Installation
) -> None:
    lines = re.findall(r"^ {4}(.+)$", README, re.MULTILINE)
    start = next(i for i, line in enumerate(lines) if line.startswith("(umask"))
    end = next(i for i, line in enumerate(lines) if line.startswith("export"))
    subprocess.run("\n".join(lines[start:end]), shell=True, cwd=tmp_path, check=True)
    env = installed.env(B2JOBS_CONFIG=str(tmp_path / "b2jobs.toml"))
    check = "from b2jobs_worker.settings import load; print(load().roots['.my'].access)"
    done = subprocess.run(
        [sys.executable, "-c", check], env=env, capture_output=True, text=True, check=False
    )

    assert done.stdout == "read-write\n", done.stderr
    assert (tmp_path / "b2.json").stat().st_mode & 0o777 == 0o600


def snippet_names(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a snippet runs in: `b2jobs`, whose functions use this installation."""
    monkeypatch.setenv("B2JOBS_REDIS_URL", installed.redis_url)
    monkeypatch.setenv("B2JOBS_KEY_PREFIX", installed.key_prefix)
    b2jobs.default_client.cache_clear()
    return {"b2jobs": b2jobs}
