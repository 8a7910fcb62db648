"""Small uploads when B2 refuses, stays silent or forgets: one version, or a clear error."""

from __future__ import annotations

import os
import threading

import pytest

from b2jobs.errors import CallerError, JobError, OperatorError, PassingError
from b2jobs_worker.attempt import Interrupted
from contract.engine.corner import BUCKET, Bench
from support.waiting import eventually

SIZES = [1000, 400_000]


@pytest.fixture(params=SIZES, ids=["whole", "streamed"])
def wide(request: pytest.FixtureRequest, bench: Bench) -> Bench:
    """The same source once in memory and once streamed, both in one call."""
    bench.context.accounts.get("default").authorise()
    account = bench.context.accounts.get("default")
    account.session.info._recommended_part_size = 1_000_000
    bench.put("file", os.urandom(request.param))
    return bench


def up(bench: Bench, job: str = "job", number: int = 1, **arguments: object):
    return bench.run(
        "upload",
        bench.attempt(job, number=number),
        source="data://in/file",
        destination=bench.b2("file"),
        **arguments,
    )


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("service_unavailable", {"next": 2}),
        ("internal_error", {"next": 1}),
        ("internal_error", {"next": 1, "after_call": True}),
        ("lost_response", {"next": 1}),
        ("reset_request", {"next": 2, "bytes": 500}),
        ("checksum_mismatch", {"next": 1}),
        ("expired_auth_token", {"next": 1}),
        ("too_many_requests", {"next": 1, "retry_after": 1}),
        ("request_timeout", {"next": 1}),
    ],
)
def test_what_heals_in_seconds_ends_in_one_version(
    wide: Bench, fault: str, options: dict[str, object]
) -> None:
    wide.admin.fault(fault, calls="b2_upload_file", **options)
    result = up(wide)
    [version] = wide.versions("file")
    assert version.file_id == result.file_id
    assert version.sha1 == result.sha1


def test_a_later_attempt_returns_what_an_earlier_one_committed(wide: Bench) -> None:
    first = up(wide)
    wide.admin.clear_journal()
    again = up(wide, number=2)
    assert (again.file_id, again.sha1, again.status) == (
        first.file_id, first.sha1, "transferred",
    )  # fmt: skip
    assert "b2_upload_file" not in wide.admin.counters().calls
    other = up(wide, "other")
    assert other.file_id != first.file_id


def test_a_commit_that_delivery_forbids_does_not_happen(wide: Bench) -> None:
    attempt = wide.attempt()

    def guard() -> None:
        raise Interrupted("lease lost", keep=True)

    attempt.guard = guard  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        wide.run("upload", attempt, source="data://in/file", destination=wide.b2("file"))
    assert wide.versions("file") == []


def test_a_cancel_ends_a_silent_call(wide: Bench) -> None:
    wide.admin.fault("latency", calls="b2_upload_file", seconds=30)
    attempt = wide.attempt()
    threading.Timer(0.3, lambda: attempt.interrupt("cancelled")).start()
    with pytest.raises(Interrupted):
        wide.run("upload", attempt, source="data://in/file", destination=wide.b2("file"))


@pytest.mark.parametrize("if_exists", ["version", "replace"])
def test_what_is_being_committed_while_the_lease_is_lost_is_still_told(
    bench: Bench, if_exists: str
) -> None:
    # Cut off, the call would leave a version that neither owner knows of.
    bench.put("file", b"content")
    bench.admin.fault("latency", calls="b2_upload_file", seconds=1)
    attempt = bench.attempt()

    def lose() -> None:
        eventually(lambda: bench.admin.journal(call="b2_upload_file"))  # it is under way
        attempt.interrupt("lease_lost", keep=True)

    def guard() -> None:  # asked right before the call
        threading.Thread(target=lose).start()

    attempt.guard = guard  # type: ignore[method-assign]
    result = bench.run(
        "upload",
        attempt,
        source="data://in/file",
        destination=bench.b2(if_exists),
        if_exists=if_exists,
    )
    assert [version.file_id for version in bench.versions(if_exists)] == [result.file_id]


@pytest.mark.parametrize(
    ("fault", "kind", "code", "reason"),
    [
        ("storage_cap_exceeded", OperatorError, "storage_cap_exceeded", "cap"),
        ("transaction_cap_exceeded", OperatorError, "transaction_cap_exceeded", "cap"),
        ("cap_exceeded", OperatorError, "cap_exceeded", "cap"),
        ("access_denied", OperatorError, "access_denied", None),
    ],
)
def test_what_an_operator_must_see_to(
    bench: Bench, fault: str, kind: type[JobError], code: str, reason: str | None
) -> None:
    bench.put("file", b"x")
    bench.admin.fault(fault, calls="b2_upload_file")
    with pytest.raises(kind) as caught:
        up(bench)
    assert caught.value.code == code
    assert (caught.value.wait.reason if caught.value.wait else None) == reason
    assert bench.admin.counters().calls["b2_upload_file"] == 1


def test_a_long_retry_after_parks_the_job_and_stops_the_others(bench: Bench) -> None:
    bench.put("file", b"x")
    bench.run("check")
    bench.admin.fault("too_many_requests", calls="b2_upload_file", next=1, retry_after=90)
    with pytest.raises(PassingError) as caught:
        up(bench)
    assert caught.value.code == "rate_limited"
    assert caught.value.wait is not None
    assert caught.value.wait.seconds == 90
    bench.admin.clear_journal()
    with pytest.raises(PassingError) as caught:
        up(bench, "other")
    assert caught.value.code == "rate_limited"
    assert 80 < (caught.value.wait.seconds or 0) <= 90  # type: ignore[union-attr]
    assert bench.admin.counters().calls == {}


def test_one_authorisation_when_many_threads_see_the_token_expire(bench: Bench) -> None:
    bench.put("file", b"x")
    up(bench)
    bench.admin.expire_tokens()
    bench.admin.clear_journal()
    bench.context.threads.each(
        lambda number: up(bench, f"job-{number}", if_exists="skip"), range(32), width=16
    )
    calls = bench.admin.counters().calls
    assert calls["b2_authorize_account"] == 1
    assert calls.get("b2_list_buckets", 0) == 0


def test_an_upload_url_serves_one_upload_after_the_other(bench: Bench) -> None:
    bench.put("file", b"x")
    for number in range(5):
        up(bench, f"job-{number}")
    assert bench.admin.counters().calls["b2_get_upload_url"] == 1
    bench.context.threads.each(lambda number: up(bench, f"more-{number}"), range(40), width=8)
    assert bench.admin.counters().calls["b2_get_upload_url"] <= 8
    assert bench.admin.counters().errors == {}


def test_expired_upload_urls_cost_no_authorisation(bench: Bench) -> None:
    bench.put("file", b"x")
    up(bench)
    bench.admin.fault("expired_auth_token", calls="b2_upload_file", next=1)
    bench.admin.clear_journal()
    up(bench, "other")
    calls = bench.admin.counters().calls
    assert calls == {"b2_upload_file": 2, "b2_get_upload_url": 1}


def test_a_bucket_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(CallerError) as caught:
        bench.run("upload", source="data:,x", destination="b2://no-such-bucket/a")
    assert caught.value.code == "bucket_not_found"


@pytest.mark.parametrize("destination", [None, "data://out/copy"], ids=["inline", "file"])
@pytest.mark.parametrize("source", ["nothing/here", "b2id"])
def test_a_download_that_finds_nothing_says_what_it_looked_for(
    bench: Bench, source: str, destination: str | None
) -> None:
    gone = f"4_z{'0' * 24}_f1{'0' * 15}_d20260101_m000000_c001_v0001000_t0000_u01767225600000"
    wanted = f"b2id://{gone}" if source == "b2id" else bench.b2(source)
    with pytest.raises(CallerError) as caught:
        bench.run("download", source=wanted, destination=destination)
    assert caught.value.code == "file_not_found"
    assert str(caught.value) == f"There is no file {wanted}."


def test_a_wrong_key_and_a_corrected_one(bench: Bench) -> None:
    good = bench.secrets.read_text()
    bench.secrets.write_text(good.replace('"application_key": "', '"application_key": "x'))
    with pytest.raises(OperatorError) as caught:
        bench.run("check")
    assert caught.value.code == "credentials_invalid"
    key = good.split('"application_key": "')[1].split('"')[0]
    assert key not in str(caught.value) + caught.value.hint
    bench.secrets.write_text(good)
    assert bench.run("check").capabilities


def test_keys_that_may_do_too_little(bench: Bench) -> None:
    session = bench.context.client("default", bench.attempt()).account().session
    bucket = bench.context.client("default", bench.attempt()).bucket(BUCKET)
    account_id = session.info.get_account_id()

    def use(capabilities: list[str], buckets: list[str] | None, prefix: str | None) -> Bench:
        key = session.create_key(account_id, capabilities, "test", 1000, buckets, prefix)
        bench.secrets.write_text(
            f'{{"key_id": "{key["applicationKeyId"]}", '
            f'"application_key": "{key["applicationKey"]}", "realm": "{bench.realm}"}}'
        )
        return bench.another_worker()

    reader = use(["readFiles", "listBuckets"], None, None)
    with pytest.raises(OperatorError) as caught:
        reader.run("upload", source="data:,x", destination=bench.b2("a"))
    assert caught.value.code == "capability_missing"
    assert "writeFiles" in caught.value.message
    assert reader.run("check").cannot["upload"] == ["writeFiles"]

    restricted = use(["readFiles", "writeFiles"], [bucket.bucket_id], bench.prefix + "in/")
    bench.admin.clear_journal()
    restricted.run("upload", source="data:,x", destination=bench.b2("in/a"))
    assert "b2_list_buckets" not in bench.admin.counters().calls
    for destination, code in (
        (bench.b2("out/a"), "name_not_allowed"),
        ("b2://other-bucket/a", "bucket_not_allowed"),
    ):
        with pytest.raises(OperatorError) as caught:
            restricted.run(
                "upload", source="data:,x",
                destination=destination.replace(
                    "other-bucket/a", f"other-bucket/{bench.prefix}in/a"
                ),
            )  # fmt: skip
        assert caught.value.code == code


def test_the_meter_counts_what_the_emulator_counts(bench: Bench) -> None:
    bench.put("file", os.urandom(1_000_000))
    result = up(bench)
    counted = bench.admin.counters().classes
    assert result.calls == {"a": counted.get("A", 0), "b": counted.get("B", 0),
                            "c": counted.get("C", 0)}  # fmt: skip
    assert result.dollars == pytest.approx(result.calls["c"] * 0.000004)
