"""Jobs that change what is there: hide and unhide, move, retention, hold."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pytest

from b2jobs.errors import JobError
from b2jobs.requests import build
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt, Interrupted
from b2jobs_worker.b2.client import B2Client
from contract.engine.corner import Bench, call, key_with

READS = ("listBuckets", "listFiles", "readFiles", "writeFiles")


def actions(bench: Bench, name: str) -> list[str]:
    return [version.action for version in bench.versions(name)]


def put(bench: Bench, name: str, content: bytes = b"x", **options: Any) -> Any:
    ends = {"source": bench.put("put", content), "destination": bench.b2(name)}
    return bench.run("upload", bench.attempt(uuid.uuid4().hex), **ends, **options)


def refused(bench: Bench, kind: str, **arguments: Any) -> JobError:
    with pytest.raises(JobError) as caught:
        bench.run(kind, bench.attempt(uuid.uuid4().hex), **arguments)
    return caught.value


def test_hidden_and_shown_again(bench: Bench) -> None:
    made = put(bench, "a")
    narrow = key_with(bench, *READS)
    target = bench.b2("a")
    assert narrow.run("hide", target=target).status == "hidden"
    assert narrow.run("hide", target=target).status == "unchanged"
    assert actions(bench, "a") == ["hide", "upload"]
    said = refused(narrow, "unhide", target=target)
    assert (said.code, "deleteFiles" in said.message) == ("capability_missing", True)
    shown = bench.run("unhide", target=target)
    assert (shown.status, shown.file_id) == ("shown", made.file_id)
    assert bench.run("unhide", bench.attempt("2"), target=target).status == "unchanged"
    assert actions(bench, "a") == ["upload"]
    assert refused(bench, "unhide", target=bench.b2("none")).code == "file_not_found"


def test_a_hide_or_unhide_that_nobody_heard_of_is_told(bench: Bench) -> None:
    put(bench, "a")
    first = bench.attempt()
    bench.run("hide", first, target=bench.b2("a"))
    again = bench.run("hide", bench.attempt(number=2, journal=first.journal), target=bench.b2("a"))
    assert (again.status, again.file_id) == ("hidden", bench.versions("a")[0].file_id)
    second = bench.attempt("u")
    bench.run("unhide", second, target=bench.b2("a"))
    later = bench.attempt("u", number=2, journal=second.journal)
    assert bench.run("unhide", later, target=bench.b2("a")).status == "shown"
    assert actions(bench, "a") == ["upload"]


def test_a_move_takes_all_along_and_leaves_nothing(bench: Bench) -> None:
    content = os.urandom(1000)
    put(bench, "a", content, cache_control="no-store", info={"color": "red"},
        encryption="SSE-C:k")  # fmt: skip
    moved = bench.run("move", source=bench.b2("a"), destination=bench.b2("b"), customer_key="k",
                      content_language="de")  # fmt: skip
    assert (moved.kind, moved.status, moved.size) == ("move", "transferred", 1000)
    assert bench.versions("a") == []
    [there] = bench.versions("b")
    assert there.info.items() >= {
        "color": "red", "b2-cache-control": "no-store", "b2-content-language": "de",
    }.items()  # fmt: skip
    down = {"source": bench.b2("b"), "destination": "data://out/b", "customer_key": "k"}
    assert bench.run("download", bench.attempt("d"), **down).verified
    assert bench.out("b").read_bytes() == content


def test_a_move_does_not_bring_old_versions_to_light(bench: Bench) -> None:
    old, new = put(bench, "a", b"old"), put(bench, "a", b"new")
    bench.run("move", source=bench.b2("a"), destination=bench.b2("b"))
    assert [(v.action, v.file_id == old.file_id) for v in bench.versions("a")] == [
        ("hide", False),
        ("upload", True),
    ]
    assert bench.run("download", bench.attempt("d"), source=bench.b2("b")).content == "new"
    # By its id only that version goes.
    by_id = {"source": f"b2id://{old.file_id}", "destination": bench.b2("c")}
    bench.run("move", bench.attempt("id"), **by_id)
    assert actions(bench, "a") == ["hide"]
    assert refused(bench, "move", source=f"b2id://{new.file_id}",
                   destination=bench.b2("d")).code == "file_not_found"  # fmt: skip


def test_a_move_that_cannot_end_does_not_begin(bench: Bench) -> None:
    put(bench, "a")
    ends = {"source": bench.b2("a"), "destination": bench.b2("b")}
    said = refused(key_with(bench, *READS), "move", **ends)
    assert said.code == "capability_missing"
    assert "deleteFiles" in said.message
    assert "a copy and then a hide" in said.hint
    [version] = bench.versions("a")
    own = {"source": f"b2id://{version.file_id}", "destination": bench.b2("a")}
    assert refused(bench, "move", **own).code == "same_file"
    locked = f"locked-{uuid.uuid4().hex[:12]}"
    call(bench, "b2_create_bucket", bucketName=locked, bucketType="allPrivate",
         fileLockEnabled=True)  # fmt: skip
    held = {"source": "data:,x", "destination": f"b2://{locked}/a"}
    bench.run("upload", bench.attempt("held"), **held, retention="governance", retain_for=3600)
    ends = {"source": f"b2://{locked}/a", "destination": f"b2://{locked}/b"}
    assert refused(bench, "move", **ends).code == "file_locked"
    client = bench.context.client("default", DetachedAttempt())
    assert list(client.versions_of(client.bucket(locked), "b")) == []
    bench.run("move", bench.attempt("bypass"), **ends, bypass_governance=True)
    [moved] = client.versions_of(client.bucket(locked), "b")
    assert moved.retention is not None
    assert list(client.versions_of(client.bucket(locked), "a")) == []


class Killed(BaseException):
    """As kill -9: nothing is cleaned up."""


STEPS = ["copy_file", "version", "hide_file", "delete_version"]


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("copy_file", True),
        ("version", False),
        ("hide_file", False),
        ("delete_version", False),
        ("delete_version", True),
    ],
)
def test_a_move_that_is_killed_ends_right(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Before or after any of its calls: one copy, no source, and the old version is hidden.

    Whatever is uploaded under the source's name meanwhile stays.
    """
    put(bench, "a", b"old")
    put(bench, "a", b"new")
    ends = {"source": bench.b2("a"), "destination": bench.b2("b")}
    first = bench.attempt()
    with monkeypatch.context() as patched:
        real = getattr(B2Client, step)

        def dying(self: Any, *arguments: Any, **named: Any) -> Any:
            if after:
                real(self, *arguments, **named)
            raise Killed

        patched.setattr(B2Client, step, dying)
        with pytest.raises(Killed):
            bench.run("move", first, **ends)
    begun = STEPS.index(step) >= STEPS.index("hide_file")
    if begun:
        put(bench, "a", b"newer")
    again = bench.attempt(number=2, journal=first.journal)
    moved = bench.run("move", again, **ends)
    assert moved.kind == "move"
    [copy] = bench.versions("b")
    assert copy.file_id == moved.file_id
    assert bench.run("download", bench.attempt("d"), source=bench.b2("b")).content == "new"
    left = {each.size: each.action for each in bench.versions("a") if each.action == "upload"}
    assert left == ({5: "upload", 3: "upload"} if begun else {3: "upload"})
    if not begun:
        assert actions(bench, "a") == ["hide", "upload"]


def test_a_move_whose_copy_was_removed_meanwhile_copies_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bench, "a", b"new")
    ends = {"source": bench.b2("a"), "destination": bench.b2("b")}
    first = bench.attempt()
    with monkeypatch.context() as patched:
        patched.setattr(B2Client, "delete_version", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            bench.run("move", first, **ends)
    bench.run("delete", bench.attempt("x"), target=bench.b2("b"))
    bench.run("move", bench.attempt(number=2, journal=first.journal), **ends)
    assert actions(bench, "b") == ["upload"]
    assert bench.versions("a") == []


def test_a_forged_journal_moves_nothing_else(bench: Bench) -> None:
    put(bench, "a", b"aaa")
    other = put(bench, "other", b"aaa")
    copy = put(bench, "b", b"aaa")
    attempt = bench.attempt(number=2)
    attempt.journal.record(
        {"moved": f'{{"source_id":"{other.file_id}","copy_id":"{copy.file_id}",'
                  f'"is_unchanged":false}}'}
    )  # fmt: skip
    bench.run("move", attempt, source=bench.b2("a"), destination=bench.b2("b"))
    assert actions(bench, "other") == ["upload"]


def test_a_cancelled_move_keeps_its_source(bench: Bench) -> None:
    put(bench, "a")
    attempt = bench.attempt()
    attempt.interrupt("cancelled")
    with pytest.raises(Interrupted):
        bench.run("move", attempt, source=bench.b2("a"), destination=bench.b2("b"))
    assert actions(bench, "a") == ["upload"]


@pytest.mark.parametrize("step", ["version", "hide_file", "delete_version"])
@pytest.mark.parametrize("waits", [False, True])
def test_a_move_that_is_cancelled_between_takes_its_copy_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, waits: bool
) -> None:
    """Under way, or while it waits for its next attempt: all is as it was."""
    put(bench, "a", b"old")
    newest = put(bench, "a", b"new")
    request = {"source": bench.b2("a"), "destination": bench.b2("b")}
    attempt = bench.attempt()
    with monkeypatch.context() as patched:
        real = getattr(B2Client, step)

        def interrupted(self: Any, *arguments: Any, **named: Any) -> Any:
            patched.setattr(B2Client, step, real)
            if waits:
                raise Killed
            raise Interrupted("cancelled", keep=False)

        patched.setattr(B2Client, step, interrupted)
        with pytest.raises(Killed if waits else Interrupted):
            bench.run("move", attempt, **request)
    if waits:
        again = bench.attempt(number=2, journal=attempt.journal)
        transfer.abandon(build("move", request), again, bench.context)
    assert bench.versions("b") == []
    assert bench.run("download", bench.attempt("d"), source=bench.b2("a")).file_id == newest.file_id
    assert attempt.journal.load() == {}


@pytest.fixture
def retained(bench: Bench) -> str:
    """A file in a bucket with file lock."""
    name = f"locked-{uuid.uuid4().hex[:12]}"
    call(bench, "b2_create_bucket", bucketName=name, bucketType="allPrivate", fileLockEnabled=True)
    bench.run("upload", bench.attempt("up"), source="data:,x", destination=f"b2://{name}/a")
    return f"b2://{name}/a"


def there(bench: Bench, uri: str) -> Any:
    client = bench.context.client("default", DetachedAttempt())
    _, _, bucket, name = uri.split("/", 3)
    return next(client.versions_of(client.bucket(bucket), name))


def test_retention_is_changed(bench: Bench, retained: str) -> None:
    def to(mode: str, attempt: Any = None, **options: Any) -> Any:
        attempt = attempt or bench.attempt(uuid.uuid4().hex)
        return bench.run("retention", attempt, target=retained, retention=mode, **options)

    first = bench.attempt("first")
    made = to("governance", first, retain_for="1d")
    assert made.status == "changed"
    assert there(bench, retained).retention.until == made.retain_until
    again = to("governance", bench.attempt("first", number=2, journal=first.journal),
               retain_for="1d")  # fmt: skip
    assert (again.status, again.retain_until) == ("changed", made.retain_until)
    same = to("governance", retain_until=made.retain_until)
    assert same.status == "unchanged"
    longer = to("governance", retain_until="2044-12-01")
    assert longer.retain_until.year == 2044
    weaker: dict[str, Any] = {"target": retained, "retention": "governance", "retain_for": "1d"}
    said = refused(bench, "retention", **weaker)
    assert (said.code, "bypass_governance" in said.hint) == ("retention_kept", True)
    assert refused(bench, "retention", target=retained, retention="none").code == "retention_kept"
    assert refused(bench, "delete", target=retained).code == "file_locked"
    narrow = key_with(bench, *READS, "writeFileRetentions", "readFileRetentions")
    said = refused(narrow, "retention", **weaker, bypass_governance=True)
    assert (said.code, "bypassGovernance" in said.message) == ("capability_missing", True)
    assert to("governance", retain_for="1d", bypass_governance=True).status == "changed"
    blind = key_with(bench, *READS, "writeFileRetentions")
    said = refused(blind, "retention", target=retained, retention="none")
    assert said.code == "retention_kept"  # B2 says so, as the key may not read it
    assert to("none", bypass_governance=True).retention == "none"
    assert there(bench, retained).retained is None
    assert to("none").status == "unchanged"
    to("compliance", retain_until="2044-12-01")
    said = refused(bench, "retention", target=retained, retention="none", bypass_governance=True)
    assert (said.code, "only be made longer" in said.hint) == ("retention_kept", True)
    assert refused(bench, "retention", target=bench.b2("none"), retention="none").code == (
        "file_not_found"
    )


def test_a_delete_may_bypass_governance(bench: Bench, retained: str) -> None:
    bench.run("retention", target=retained, retention="governance", retain_for="1d")
    gone = bench.run("delete", bench.attempt("d"), target=retained, bypass_governance=True)
    assert gone.deleted == 1


def test_holds_are_put_and_lifted(bench: Bench, retained: str) -> None:
    version = there(bench, retained)
    by_id = f"b2id://{version.file_id}"
    for target, on, status in (
        (retained, True, "changed"),
        (by_id, True, "unchanged"),
        (by_id, False, "changed"),
        (retained, False, "unchanged"),
    ):
        done = bench.run("hold", bench.attempt(uuid.uuid4().hex), target=target, on=on)
        assert (done.status, done.legal_hold, done.file_id) == (status, on, version.file_id)
        assert there(bench, retained).is_held == on
    put(bench, "a")
    assert refused(bench, "hold", target=bench.b2("a")).code == "lock_not_enabled"
    said = refused(key_with(bench, *READS), "hold", target=retained)
    assert "writeFileLegalHolds" in said.message
