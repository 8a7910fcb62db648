"""What a worker says of the files and folders that its settings name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from b2jobs.errors import OperatorError
from b2jobs_worker.settings import Settings, load
from b2jobs_worker.start.keys import secrets_findings
from b2jobs_worker.start.places import place_findings

FLAT = {"key_id": "004abc", "application_key": "x"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("B2JOBS"):
            monkeypatch.delenv(name)


def settings(folder: Path, **more: object) -> Settings:
    secrets = folder / "b2.json"
    if not secrets.exists():
        secrets.touch(mode=0o600)
        secrets.write_text(json.dumps(FLAT))
    return Settings(secrets_file=secrets, **more)  # type: ignore[arg-type]  # as a file has them


def told(given: Settings) -> list[tuple[str, bool]]:
    found = [*secrets_findings(given), *place_findings(given)]
    assert all(each.hint and each.message for each in found)
    return [(each.code, each.heals) for each in found]


def test_nothing_is_said_of_what_is_well(tmp_path: Path) -> None:
    assert told(settings(tmp_path, roots={"a": {"url": f"file://{tmp_path}"}})) == []


def test_a_folder_that_is_not_there_may_come(tmp_path: Path) -> None:
    roots = {"a": {"url": f"file://{tmp_path}/none"}, "b": {"url": f"file://{tmp_path}/b2.json"}}
    assert told(settings(tmp_path, roots=roots)) == [("root_missing", True)] * 2


def test_a_root_that_can_be_no_place_keeps_it_from_starting(tmp_path: Path) -> None:
    roots = {"a": {"url": "https://host/x"}, "b": {"url": f"file://{tmp_path}/none"}}
    assert told(settings(tmp_path, roots=roots)) == [
        ("root_invalid", False),
        ("root_missing", True),
    ]


def test_a_store_without_credentials_is_said(tmp_path: Path) -> None:
    roots = {"old": {"url": "s3://old-bucket/archive"}}
    assert told(settings(tmp_path, roots=roots)) == [("store_credentials_missing", True)]


def test_bad_prices_and_certificates_are_found_before_the_first_job(tmp_path: Path) -> None:
    given = settings(tmp_path, prices={"class_d_per_thousand": 1.0}, ca_file=tmp_path / "b2.json")
    assert told(given) == [("config_invalid", False)] * 2


def test_a_bad_entry_of_the_secrets_file_is_said_and_the_others_are_used(tmp_path: Path) -> None:
    given = settings(tmp_path)
    given.secrets_file.write_text(json.dumps({**FLAT, "stores": {"s3://x": {"pass": "x"}}}))
    (found,) = secrets_findings(given)
    assert (found.code, found.heals) == ("credentials_invalid", True)
    assert '"pass" of store "s3://x"' in found.message


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (None, 0, "credentials_missing"),
        ("{}", 0o600, "credentials_invalid"),
        ("[]", 0o600, "credentials_invalid"),
        (json.dumps(FLAT), 0o644, "credentials_exposed"),
    ],
)
def test_a_secrets_file_that_cannot_be_used_is_waited_for(
    tmp_path: Path, content: str | None, mode: int, code: str
) -> None:
    given = settings(tmp_path)
    given.secrets_file.unlink()
    if content is not None:
        given.secrets_file.write_text(content)
        given.secrets_file.chmod(mode)
    assert told(given) == [(code, True)]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_a_file_of_another_user_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(tmp_path)
    os.chown(given.secrets_file, 1234, 1234)
    config = tmp_path / "config.toml"
    config.touch()
    os.chown(config, 1234, 1234)
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))
    assert told(given) == [("credentials_foreign", True), ("config_exposed", True)]


def test_a_config_file_its_group_can_change_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.touch()
    config.chmod(0o664)
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))
    assert told(settings(tmp_path)) == [("config_exposed", True)]


def test_a_config_file_everybody_can_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.touch()
    config.chmod(0o666)
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))
    with pytest.raises(OperatorError) as caught:
        load()
    assert caught.value.code == "config_exposed"


@pytest.mark.parametrize(
    ("variable", "config", "meant"),
    [
        ("B2JOBS_SLOT", "", "B2JOBS_SLOTS"),
        ("", "slot = 3", "slots"),
        ("", "lease_second = 3\n", "lease_seconds"),
        ("", "[root.a]\nurl = 'file:///'", "roots"),
    ],
)
def test_an_unknown_setting_names_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, config: str, meant: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config)
    monkeypatch.setenv("B2JOBS_CONFIG", str(path))
    if variable:
        monkeypatch.setenv(variable, "3")
    with pytest.raises(OperatorError, match=rf"did you mean {meant}\?") as caught:
        load()
    assert caught.value.code == "config_invalid"


def test_a_config_file_that_is_not_utf_8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("B2JOBS_CONFIG", str(path))
    with pytest.raises(OperatorError, match="config\\.toml is not TOML"):
        load()
