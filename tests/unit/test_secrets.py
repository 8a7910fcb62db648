"""The secrets file: its form, who may read it, and that nothing of it ever leaks."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from b2jobs.errors import JobError, Wait
from b2jobs_worker.credentials import Credential
from b2jobs_worker.secrets import SecretsFile, exposed_to
from unit.sources.places import as_nobody, open_folder

KEY = "K004dOnOtShOwThIsSeCrEtAnYwHeRe"
FLAT = {"key_id": "004abc", "application_key": KEY}


def written(folder: Path, content: object, mode: int = 0o600) -> SecretsFile:
    path = folder / "b2.json"
    path.unlink(missing_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(mode)
    return SecretsFile(path, writing_seconds=0)


def refused(secrets: SecretsFile, account: str = "default") -> JobError:
    """The error of asking for *account*, after looking for the key in all that it carries."""
    with pytest.raises(JobError) as caught:
        secrets.account(account)
    error: BaseException | None = caught.value
    seen: list[str] = [caught.value.hint, *traceback.format_exception(caught.value)]
    while error is not None:
        seen += [str(error), repr(error), repr(vars(error)), repr(getattr(error, "doc", ""))]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "b2jobs" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
                seen.append(repr(frame.f_locals))
        error = error.__cause__ or error.__context__
    assert not [text for text in seen if KEY[5:] in text]
    return caught.value


def test_flat_form_is_the_default_account(tmp_path: Path) -> None:
    credential = written(tmp_path, FLAT).account()
    assert credential == Credential("default", "004abc", SecretStr(KEY), "production")
    assert credential.application_key.get_secret_value() == KEY


def test_several_accounts_with_realms(tmp_path: Path) -> None:
    secrets = written(
        tmp_path,
        {"accounts": {"default": FLAT, "archive": {**FLAT, "realm": "http://127.0.0.1:9000/"}}},
    )
    assert secrets.accounts() == ["archive", "default"]
    assert secrets.account("archive").realm == "http://127.0.0.1:9000"


def test_a_credential_shows_stars() -> None:
    credential = Credential("default", "004abc", SecretStr(KEY))
    for text in (repr(credential), str(credential), f"{credential}", repr(vars(credential))):
        assert KEY not in text
        assert "***" in text


def test_stores_by_bucket_then_by_scheme(tmp_path: Path) -> None:
    secrets = written(
        tmp_path,
        {
            **FLAT,
            "stores": {"s3://one": {"region": "a"}, "s3://": {"region": "b"}, "azure://x": {}},
        },
    )
    one, other = secrets.store("s3", "one"), secrets.store("s3", "other")
    assert one is not None
    assert other is not None
    assert (one["region"].get_secret_value(), other["region"].get_secret_value()) == ("a", "b")
    assert secrets.store("gs", "one") is None
    assert secrets.store("azure", "x") == {}
    with pytest.raises(JobError) as caught:
        SecretsFile(tmp_path / "none").store("s3", "one")
    assert caught.value.code == "credentials_missing"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (f'{{"key_id": "{KEY}", oops}}', "not JSON"),
        (f'{{"application_key": "{KEY}', "not JSON"),
        ("[]", "not a JSON object"),
        (f'"{KEY}"', "not a JSON object"),
        ("\udcff", "not UTF-8"),
        ("[" * 100_000, "JSON|deeply"),
        (f'{{"key_id": "a", "application_key": "{KEY}", "key_id": "b"}}', '"key_id" twice'),
        ({}, '"key_id" of account "default" is missing'),
        ({"key_id": "a"}, '"application_key" of account "default" is missing'),
        ({**FLAT, "key_id": 4}, '"key_id" of account "default" is not a string'),
        ({**FLAT, "key_id": ""}, '"key_id" of account "default" is empty'),
        ({**FLAT, "application_key": f"{KEY}\n"}, '"application_key" .* white space'),
        ({**FLAT, "realm": "staging"}, '"realm" of account "default"'),
        ({**FLAT, "realm": f"https://user:{KEY}@host"}, '"realm" of account "default"'),
        ({**FLAT, "keyId": "x"}, '"keyId" of account "default" is not known'),
        ({**FLAT, KEY: "x"}, "a key that is not shown here of account"),
        ({"accounts": {}}, '"accounts" is empty'),
        ({"accounts": [KEY]}, '"accounts" is not an object'),
        ({"accounts": {"default": KEY}}, 'the value of account "default" is not an object'),
        ({"accounts": {"default": FLAT}, "key_id": "a"}, '"key_id" beside "accounts"'),
        ({**FLAT, "realm": "http://b2.example"}, "go in clear"),
        ({**FLAT, "realm": "http://b2.example", "allow_http": False}, "go in clear"),
        ({**FLAT, "realm": "http://127.0.0.1.example"}, "go in clear"),
        ({**FLAT, "realm": "HTTP://b2.example"}, "realm"),
        ({**FLAT, "realm": "http://b2.example", "allow_http": "yes"}, '"allow_http" .* true'),
        ({"accounts": {"default": {"key_id": "a"}, "other": FLAT}}, '"application_key" of account'),
    ],
)
def test_malformed_is_refused_by_name(tmp_path: Path, content: object, told: str) -> None:
    error = refused(written(tmp_path, content))
    assert (error.code, error.act, error.wait) == (
        "credentials_invalid",
        "operator",
        Wait("credentials"),
    )
    assert re.search(told, error.message)
    assert str(tmp_path / "b2.json") in error.message


@pytest.mark.parametrize(
    ("stores", "asked", "told"),
    [
        ({"s3://x": {"endpoint": "a b"}}, "s3", '"endpoint" of store "s3://x"'),
        ({"s3://x": {"endpoint": "host"}}, "s3", '"endpoint" of store "s3://x"'),
        ({"s3://x": {"password": KEY}}, "s3", '"password" of store "s3://x"'),
        ({"gs://": {"password": KEY}}, "gs", '"password" of store "gs://"'),
        ({"ftp://x": {}}, None, 'the store "ftp://x" is not written'),
        ([KEY], "azure", '"stores" is not an object'),
        ({"s3://": {"endpoint": "http://store.example"}}, "s3", "go in clear"),
        ({"gs://": {"endpoint": "http://store.example", "allow_http": "no"}}, "gs", "allow_http"),
    ],
)
def test_a_bad_store_hurts_only_those_who_need_it(
    tmp_path: Path, stores: object, asked: str | None, told: str
) -> None:
    """One typing error in one store's entry failed every job of every account."""
    secrets = written(tmp_path, {**FLAT, "stores": stores})
    assert secrets.account().key_id == "004abc"
    assert any(re.search(told, problem) for problem in secrets.problems())
    if asked is None:
        assert secrets.store("s3", "x") is None
        return
    with pytest.raises(JobError) as caught:
        secrets.store(asked, "x")
    assert (caught.value.code, caught.value.wait) == ("credentials_invalid", Wait("credentials"))


def test_a_bad_account_hurts_only_those_who_name_it(tmp_path: Path) -> None:
    secrets = written(tmp_path, {"accounts": {"one": FLAT, "two": {"key_id": "a"}}})
    assert secrets.account("one").key_id == "004abc"
    assert secrets.accounts() == ["one"]
    assert refused(secrets, "two").code == "credentials_invalid"
    assert refused(secrets, "three").code == "account_unknown"


def test_a_key_in_the_place_of_an_account_is_never_repeated(tmp_path: Path) -> None:
    secrets = written(tmp_path, {"accounts": {"one": FLAT, KEY: FLAT}})
    assert KEY not in " ".join(secrets.problems())
    for name, code in ((KEY, "credentials_invalid"), (KEY + "x", "account_unknown")):
        with pytest.raises(JobError) as caught:
            secrets.account(name)
        assert (caught.value.code, KEY in str(caught.value) + caught.value.hint) == (code, False)


@pytest.mark.parametrize(
    "more",
    [
        {"realm": "http://localhost:9000"},
        {"realm": "http://127.0.0.9"},
        {"realm": "http://[::1]:9000"},
        {"realm": "https://b2.example"},
        {"realm": "http://b2:8080", "allow_http": True},
        {"allow_http": True},
    ],
)
def test_a_realm_that_does_not_send_the_key_in_clear_or_may(
    tmp_path: Path, more: dict[str, object]
) -> None:
    assert written(tmp_path, {**FLAT, **more}).account().key_id == "004abc"


def test_a_file_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    """122 of 3,000 jobs failed since they read the file between two writes of its author."""
    text = json.dumps(FLAT)
    half = written(tmp_path, text[:20])
    assert refused(half).code == "credentials_invalid"
    patient = SecretsFile(half.path, writing_seconds=30)
    writer = threading.Timer(0.2, lambda: half.path.write_text(text))
    os.utime(half.path)
    writer.start()
    assert patient.account().key_id == "004abc"
    writer.join()


def test_an_old_file_that_does_not_parse_is_not_waited_for(tmp_path: Path) -> None:
    broken = written(tmp_path, "{")
    os.utime(broken.path, (1, 1))
    began = time.monotonic()
    assert refused(SecretsFile(broken.path)).code == "credentials_invalid"
    assert time.monotonic() - began < 1


def test_a_file_that_never_ends_is_not_read_whole(tmp_path: Path) -> None:
    error = refused(written(tmp_path, json.dumps(FLAT) + " " * 2_000_000))
    assert error.code == "credentials_invalid"


def test_unknown_account_names_the_known_ones(tmp_path: Path) -> None:
    error = refused(written(tmp_path, {"accounts": {"one": FLAT, "two": FLAT}}))
    assert (error.code, error.act) == ("account_unknown", "caller")
    assert "one, two" in error.hint


def test_an_account_that_vanishes_while_the_file_is_edited_is_waited_for(tmp_path: Path) -> None:
    # It cost every job of the account for good; a wrong key for as long cost none.
    secrets = written(tmp_path, {"accounts": {"one": FLAT, "two": FLAT, "three": {"key_id": "a"}}})
    assert secrets.account("one").key_id == FLAT["key_id"]
    written(tmp_path, {"accounts": {"one": FLAT, "four": FLAT}})
    for name in ("two", "three"):
        error = refused(secrets, name)
        assert (error.code, error.wait) == ("credentials_missing", Wait("credentials"))
    assert refused(secrets, "five").code == "account_unknown"
    written(tmp_path, {"accounts": {"one": FLAT, "two": FLAT}})
    assert secrets.account("two").key_id == FLAT["key_id"]


def test_missing_and_not_a_file(tmp_path: Path) -> None:
    assert refused(SecretsFile(tmp_path / "none")).code == "credentials_missing"
    assert refused(SecretsFile(tmp_path)).code == "credentials_unreadable"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refused(SecretsFile(tmp_path / "pipe")).code == "credentials_unreadable"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640, 0o660, 0o602, 0o444, 0o440])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    error = refused(written(tmp_path, FLAT, mode))
    assert (error.code, error.act) == ("credentials_exposed", "operator")
    assert f"{mode:04o}" in error.message
    assert "chmod 600" in error.hint


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    assert written(tmp_path, FLAT, mode).account().key_id == "004abc"


def test_a_group_may_read_only_what_root_hands_over() -> None:
    def status(mode: int, user: int, group: int) -> os.stat_result:
        return os.stat_result((0o100000 | mode, 1, 1, 1, user, group, 10, 0, 0, 0))

    assert exposed_to(status(0o440, 0, 2000), 1000, {1000, 2000}) == ""
    assert exposed_to(status(0o460, 0, 2000), 1000, {1000, 2000}) == "its group"
    assert exposed_to(status(0o440, 0, 2000), 1000, {1000}) == "its group"
    assert exposed_to(status(0o440, 1000, 2000), 1000, {2000}) == "its group"
    assert exposed_to(status(0o444, 0, 2000), 1000, {2000}) != ""


def test_another_user_cannot_read_it() -> None:
    with open_folder() as folder:
        written(folder, FLAT)
        if os.getuid() != 0:
            (folder / "b2.json").chmod(0)
        told = as_nobody(
            folder,
            "from b2jobs_worker.secrets import SecretsFile\n"
            "attempt(lambda: SecretsFile('b2.json').account())\n",
        )
    assert told == "credentials_unreadable operator"


def test_it_is_read_again_when_it_changes(tmp_path: Path) -> None:
    secrets = written(tmp_path, FLAT)
    assert secrets.account() is secrets.account()
    written(tmp_path, {**FLAT, "key_id": "004new"})
    assert secrets.account().key_id == "004new"
    secrets.path.chmod(0o644)
    assert refused(secrets).code == "credentials_exposed"
    secrets.path.unlink()
    assert refused(secrets).code == "credentials_missing"
    written(tmp_path, FLAT)
    assert secrets.account().key_id == "004abc"


def test_a_change_of_the_same_size_and_time_behind_a_link_is_seen(tmp_path: Path) -> None:
    """Kubernetes swaps a folder behind a symbolic link: only the inode need differ."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(json.dumps({**FLAT, "key_id": f"004{name}"}))
        (tmp_path / name).chmod(0o600)
        os.utime(tmp_path / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to("one")
    secrets = SecretsFile(link)
    assert secrets.account().key_id == "004one"
    link.unlink()
    link.symlink_to("two")
    assert secrets.account().key_id == "004two"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["accounts", "stores", "default", "key_id", "application_key", "s3://"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(document=JSON)
@settings(deadline=None)
def test_whatever_stands_in_it_is_used_or_refused_without_quoting_it(
    tmp_path_factory: pytest.TempPathFactory, document: object
) -> None:
    secrets = written(tmp_path_factory.getbasetemp(), document)
    try:
        secrets.account()
    except JobError:
        assert refused(secrets).code in ("credentials_invalid", "account_unknown")


CUSTOMER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def asked(secrets: SecretsFile, name: str) -> JobError:
    with pytest.raises(JobError) as caught:
        secrets.customer_key(name)
    said = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert CUSTOMER_KEY[:20] not in said
    assert repr(name) in said or f'"{name}"' in said
    return caught.value


def test_customers_keys_stand_beside_one_account_or_several(tmp_path: Path) -> None:
    keys = {"customer_keys": {"backups-2026": CUSTOMER_KEY}}
    for form in (FLAT, {"accounts": {"default": FLAT}}):
        secrets = written(tmp_path, {**form, **keys})
        assert secrets.customer_key("backups-2026").get_secret_value() == CUSTOMER_KEY
        assert CUSTOMER_KEY not in repr(secrets.customer_key("backups-2026"))
        assert secrets.problems() == []
        unknown = asked(secrets, "other")
        assert (unknown.code, unknown.wait) == ("customer_key_unknown", None)
        assert "backups-2026" in unknown.hint


@pytest.mark.parametrize("key", ["", "short", CUSTOMER_KEY[:40], 7, ["a"], CUSTOMER_KEY + "AAAA"])
def test_a_customer_s_key_that_is_none_stops_only_who_names_it(tmp_path: Path, key: object) -> None:
    secrets = written(tmp_path, {**FLAT, "customer_keys": {"bad": key, "good": CUSTOMER_KEY}})
    assert secrets.customer_key("good")
    assert secrets.account()
    error = asked(secrets, "bad")
    assert (error.code, error.wait) == ("credentials_invalid", Wait("credentials"))
    assert "not the base64 of 32 bytes" in "".join(secrets.problems())


@pytest.mark.parametrize("keys", [CUSTOMER_KEY, [CUSTOMER_KEY], {CUSTOMER_KEY: "backups"}])
def test_customers_keys_in_another_form_leave_the_accounts_usable(
    tmp_path: Path, keys: object
) -> None:
    secrets = written(tmp_path, {**FLAT, "customer_keys": keys})
    assert secrets.account()
    assert asked(secrets, "backups").code == "customer_key_unknown"
    assert len(secrets.problems()) == 1
    assert CUSTOMER_KEY[:20] not in secrets.problems()[0]
