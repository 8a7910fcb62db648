"""A config file that changes is read again; one that cannot be read changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from b2jobs.rates import Rates
from b2jobs_worker import live_limits
from b2jobs_worker.live_limits import LiveLimits
from b2jobs_worker.settings import load


def write(path: Path, text: str) -> None:
    """As editors do: another file takes its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_a_changed_file_counts_and_a_broken_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in os.environ if name.startswith("B2JOBS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(live_limits, "LOOK_SECONDS", 0.0)
    config = tmp_path / "b2jobs.toml"
    monkeypatch.setenv("B2JOBS_CONFIG", str(config))
    config.write_text("bytes_per_second = 5000\n")
    hour = [12]
    limits = LiveLimits(
        load(), config, clock=lambda: datetime(2026, 11, 25, hour[0], 30, tzinfo=UTC)
    )
    assert limits.rates() == Rates(5000.0)

    write(config, 'bytes_per_second = 5000\n[limits]\n"12:00-13:00" = "3 requests/s"\n')
    assert limits.rates() == Rates(5000.0, 3.0)
    assert limits.told() == {
        "now": "5 kB/s, 3 requests/s",
        "until": "2026-11-25T13:00:00+00:00",
    }
    hour[0] = 13
    assert limits.rates() == Rates(5000.0)

    write(config, '[limits]\n"25:00-26:00" = "3 requests/s"\n')
    assert limits.rates() == Rates(5000.0)
    assert "25:00-26:00" in caplog.text
    config.unlink()
    assert limits.rates() == Rates(5000.0)
    write(config, "")
    assert limits.rates() == Rates()
    assert limits.told() == {}
