"""How the console says things, what its charts are, and whom its gate lets in."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2jobs.errors import OperatorError
from b2jobs.printable import json_line, printable
from b2jobs_console import words
from b2jobs_console.charts import Chart, Series, nice
from b2jobs_console.gate import Gate
from b2jobs_console.settings import Settings, load

TOKEN = "0123456789abcdef"


@given(st.text())
def test_nothing_that_is_shown_can_hide(text: str) -> None:
    seen = printable(text)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not {unicodedata.category(character) for character in seen} & hidden
    assert json.loads(json_line({"name": text})) == {"name": text}
    assert json_line({"name": text}).isprintable()
    (seen + json_line(text)).encode()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain ü 名", "plain ü 名"),
        ("a\x1b[31m\n", "a\\x1b[31m\\n"),
        ("x\u202egnp.exe", "x\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, seen: str) -> None:
    assert printable(text) == seen


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.size(223583420), "213 MiB"),
        (words.size(0), "0 bytes"),
        (words.size(2048), "2.0 KiB"),
        (words.dollars(4e-06), "$0.000004"),
        (words.dollars(0), "$0.00"),
        (words.dollars(1234.5), "$1,234.50"),
        (words.lasting(0.02), "20 ms"),
        (words.lasting(12000), "3 h 20 min"),
        (words.lasting(59), "59 s"),
        (words.lasting(90000), "1 d 1 h"),
        (words.hint("run `b2jobs <x>` now"), "run <code>b2jobs &lt;x&gt;</code> now"),
        (words.hint("one ` alone"), "one ` alone"),
    ],
)
def test_numbers_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_an_axis_ends_at_a_round_number_that_is_high_enough(value: float) -> None:
    assert value <= nice(value) <= value * 10.001


def test_one_failure_among_a_million_is_drawn() -> None:
    bars = Chart("x", [0, 60], [Series("a", [1_000_000]), Series("b", [1])]).bars()
    assert [bar.name for bar in bars] == ["a", "b"]
    assert bars[1].height >= 1


def gate(**settings: object) -> Gate:
    return Gate(Settings.model_validate(settings))


def test_a_token_gives_its_role_and_no_other_text_any() -> None:
    here = gate(token=TOKEN, read_token=TOKEN[::-1])
    assert here.role(TOKEN) == "act"
    assert here.role(TOKEN[::-1]) == "read"
    assert [here.role(text) for text in ("", "x", TOKEN + " ", "ü" * 20, "\ud800")] == [None] * 5
    assert here.made == ""


def test_where_no_token_is_set_one_is_made_for_this_run() -> None:
    assert gate().made != gate().made
    assert gate().role("") is None


def test_a_session_ends_with_its_time_with_another_token_and_with_any_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = gate(token=TOKEN)
    cookie = here.cookie("read")
    session = here.session(cookie)
    assert session is not None
    assert not session.may_act
    assert gate(token=TOKEN).session(cookie) == session
    assert gate(token=TOKEN + "0").session(cookie) is None
    for forged in ("", ".", "act" + cookie[4:], cookie[:-1], cookie + "x", "ü" + cookie):
        assert here.session(forged) is None
    now = time.time()
    monkeypatch.setattr("b2jobs_console.gate.time.time", lambda: now + 13 * 3600)
    assert here.session(cookie) is None


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8585", True),
        ("localhost:8585", True),
        ("[::1]:8585", True),
        ("10.1.2.3", True),
        ("console.example:443", True),
        ("CONSOLE.example", True),
        ("evil.example:8585", False),
        ("", False),
        ("localhost.evil.example", False),
        ("[evil", False),
    ],
)
def test_only_our_names_are_known(host: str, known: bool) -> None:
    assert gate(hosts=["console.example"]).knows_host(host) is known


def refused(environment: dict[str, str], **given: object) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        load(environment, **given)
    assert TOKEN not in str(caught.value) + caught.value.hint
    return caught.value


def test_nobody_listens_beyond_this_machine_without_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "console.example"):
        assert refused({}, host=host).code == "console_token_missing"
    assert load({"B2JOBS_CONSOLE_READ_TOKEN": TOKEN}, host="0.0.0.0").read_token is not None
    assert load({}, host="::1").is_loopback


def test_the_config_file_has_a_table_of_its_own(tmp_path: Path) -> None:
    config = tmp_path / "b2jobs.toml"
    config.write_text(
        f'redis_url = "redis://elsewhere/0"\nslots = 4\n[console]\ntoken = "{TOKEN}"\n'
        'hosts = ["console.example"]\n'
    )
    config.chmod(0o600)
    here = {"B2JOBS_CONFIG": str(config)}
    settings = load({**here, "B2JOBS_CONSOLE_METRICS_LOGIN": "true"})
    assert settings.redis_url == "redis://elsewhere/0"
    assert (settings.hosts, settings.metrics_login) == (("console.example",), True)
    assert TOKEN not in repr(settings)
    config.chmod(0o644)
    assert refused(here).code == "config_exposed"
    config.write_text('redis_url = "redis://elsewhere/0"\n')  # where it would be led to
    config.chmod(0o666)
    assert refused(here).code == "config_exposed"
    config.chmod(0o600)
    config.write_text("[console]\ntokn = 'x'\n")
    assert "tokn" in str(refused(here))
    config.write_text("console = 3\n")
    assert refused(here).code == "config_invalid"
    assert refused({"B2JOBS_CONSOLE_TOKEN": "short"}).code == "config_invalid"


def test_a_token_may_lie_in_a_file_and_an_empty_one_is_none(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    here = {"B2JOBS_CONSOLE_TOKEN_FILE": str(token)}
    settings = load(here, host="0.0.0.0")
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOKEN
    assert refused({**here, "B2JOBS_CONSOLE_TOKEN": TOKEN}).code == "config_invalid"
    token.chmod(0o644)
    assert refused(here).code == "config_exposed"
    token.write_text("")
    assert load(here).token is None
    assert refused(here, host="0.0.0.0").code == "console_token_missing"
