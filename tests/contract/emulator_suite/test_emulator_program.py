"""The emulator as a program: its options, its first line, its end, its page."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from b2emulator import cli
from b2emulator.settings import Settings
from support.emulator_process import emulator, start
from support.processes import run


def test_the_first_line_and_the_secrets_file(tmp_path: Path) -> None:
    secrets = tmp_path / "b2.json"
    options = ("--key-id", "the-key", "--application-key", "the-secret")
    with emulator("--memory", *options, "--secrets-file", str(secrets)) as running:
        assert running.ready["key_id"] == "the-key"
        assert running.ready["application_key"] == "the-secret"
        assert running.ready["realm"] == f"http://127.0.0.1:{running.ready['port']}"
        assert running.ready["admin"] == running.ready["realm"] + "/_admin"
        assert json.loads(secrets.read_text()) == {
            "key_id": "the-key",
            "application_key": "the-secret",
            "realm": running.realm,
        }
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        running.api()


def test_sigterm_and_a_port_that_is_taken() -> None:
    running = start("--memory")
    port = str(running.ready["port"])
    second = run(sys.executable, "-m", "b2emulator", "--memory", "--port", port)
    assert second.returncode == 1
    assert "cannot start" in second.stderr
    assert second.stdout == ""
    assert running.end() == 0


@pytest.mark.parametrize("arguments", [["--fault", "{"], ["--fault", '{"fault": "x"}'], ["--no"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_page_says_what_it_is() -> None:
    with emulator("--memory", "--bucket", "shown-bucket") as running:
        running.api().get_bucket_by_name("shown-bucket").upload_bytes(b"12345", "f")
        with urlopen(running.realm + "/") as response:
            assert response.headers["Content-Type"].startswith("text/html")
            text = response.read().decode()
        assert "A local B2" in text
        assert "shown-bucket" in text


def test_the_urls_are_those_the_client_called() -> None:
    with emulator("--memory") as running:
        api = running.api()
        assert api.account_info.get_api_url() == running.realm
    with emulator("--memory", "--public-url", "http://b2.example:1234") as running:
        assert running.realm == "http://b2.example:1234"


def test_every_option_stands_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "local-b2.md").read_text()
    options = [o for action in cli.parser()._actions for o in action.option_strings]
    missing = [option for option in options if option.startswith("--") and option not in page]
    assert missing == ["--help"]
    assert Settings().min_part_size_bytes == 5_000_000
