"""Settings: what is wrong is named, the environment goes before the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2jobs.errors import OperatorError
from b2jobs_worker.settings import Settings, load


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("B2JOBS"):
            monkeypatch.delenv(name)


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "b2jobs.toml"
    config.write_text('slots = 3\nlease_seconds = 20\n[roots.".my"]\nurl = "file:///srv"\n')
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))
    monkeypatch.setenv("B2JOBS_SLOTS", "5")

    settings = load()

    assert (settings.slots, settings.lease_seconds) == (5, 20)
    assert settings.roots[".my"].access == "read"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("slot = 3", "slot"),
        ("slots = 0", "slots"),
        ("slots = ", "TOML"),
        ("lease_seconds = 1", "lease_seconds"),
        ('queues = "urgent"', "queues"),
        ('queues = ""', "queues"),
        ('[roots.a]\nurl = "file:///x"\naccess = "write"', "roots.a.access"),
        ('[roots.a]\nurl = "file:///x"\nreadonly = true', "roots.a.readonly"),
        ('[roots.a]\naccess = "read"', "roots.a.url"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, named: str
) -> None:
    config = tmp_path / "b2jobs.toml"
    config.write_text(content)
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))

    with pytest.raises(OperatorError) as caught:
        load()

    assert caught.value.code == "config_invalid"
    assert named in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2JOBS_CONFIG", "/nowhere/b2jobs.toml")
    with pytest.raises(OperatorError, match=r"/nowhere/b2jobs\.toml"):
        load()


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B2JOBS_SLOTS", "many")
    with pytest.raises(OperatorError) as caught:
        load()
    assert "slots" in str(caught.value)
    assert "B2JOBS_SLOTS" in caught.value.hint


def test_every_setting_says_what_it_does() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().slots = 9  # type: ignore[misc]  # that is what is tried
