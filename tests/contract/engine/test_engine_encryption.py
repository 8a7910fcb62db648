"""Customers' keys (SSE-C) and B2's own encryption, all the ways bytes go."""

from __future__ import annotations

import importlib
import json
import os
import traceback
from typing import Any

import pytest

from b2jobs.errors import JobError
from b2jobs_worker.transfer import copy_large
from contract.engine.corner import CUSTOMER_KEYS, Bench

copying = importlib.import_module("b2jobs_worker.transfer.copy")
LARGE = 900_000


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies by parts from 150 KB on."""
    monkeypatch.setattr(copying, "ONE_CALL_BYTES", 150_000)
    monkeypatch.setattr(copy_large, "PART_BYTES", 100_000)


def secret(bench: Bench, name: str, size: int = 5, **options: Any) -> bytes:
    content = os.urandom(size)
    source = bench.put(name, content)
    ends = {"source": source, "destination": bench.b2(name)}
    bench.run("upload", bench.attempt(name), **ends, encryption="SSE-C:k", **options)
    return content


def told(error: BaseException | None) -> str:
    """All that tools print of a traceback, variables included."""
    seen = ["".join(traceback.format_exception(error))] if error else []
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        seen += [repr(each.f_locals) for each in frames if "/tests/" not in each.f_code.co_filename]
        error = error.__cause__ or error.__context__
    return "".join(seen)


def code(bench: Bench, kind: str, **arguments: Any) -> str:
    """The code a job fails with; nothing of a key is in what it says or shows."""
    with pytest.raises(JobError) as caught:
        bench.run(kind, bench.attempt("refused"), **arguments)
    said = repr(caught.value.failure(1)) + told(caught.value)
    for key in CUSTOMER_KEYS.values():
        assert key not in said
    if caught.value.code.startswith("customer_key_") and "customer_key" in arguments:
        assert repr(arguments["customer_key"]) in caught.value.message
    return caught.value.code


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("size", [5, 150_000, LARGE])
def test_up_down_and_along_with_a_key(bench: Bench, size: int) -> None:
    content = secret(bench, "a", size, hash_first=True)
    [made] = bench.versions("a")
    assert (made.encryption, made.key_name, made.size) == ("SSE-C", "k", size)

    def down(name: str, **options: Any) -> bytes:
        out = {"source": bench.b2(name), "destination": "data://out/x"}
        assert bench.run("download", bench.attempt("down"), **out, **options).verified
        return bench.out("x").read_bytes()

    def along(name: str, **options: Any) -> Any:
        ends = {"source": bench.b2("a"), "destination": bench.b2(name)}
        bench.run("copy", bench.attempt(name), **ends, **options)
        [version] = bench.versions(name)
        return version

    assert down("a", customer_key="k") == content
    part = bench.run("download", bench.attempt("part"), source=bench.b2("a"), customer_key="k",
                     range="1-3")  # fmt: skip
    assert part.size == 3
    by_id = f"b2id://{made.file_id}"
    assert bench.run("download", bench.attempt("id"), source=by_id, range="0-1",
                     customer_key="k").size == 2  # fmt: skip

    same = along("same", customer_key="k")
    assert (same.encryption, same.key_name) == ("SSE-C", "k")
    assert down("same", customer_key="k") == content
    other = along("other", customer_key="k", encryption="SSE-C:w")
    assert (other.encryption, other.key_name) == ("SSE-C", "w")
    assert down("other", customer_key="w") == content
    plain = along("plain", customer_key="k", encryption="default")
    assert (plain.encryption, plain.key_name) == ("", "")
    assert down("plain") == content
    assert down("plain", customer_key="k") == content  # it needs none
    own = along("own", customer_key="k", encryption="SSE-B2")
    assert (own.encryption, own.key_name) == ("SSE-B2", "")
    kept = bench.run("copy", bench.attempt("kept"), source=bench.b2("own"),
                     destination=bench.b2("kept"))  # fmt: skip
    assert kept.size == size
    assert bench.versions("kept")[0].encryption == "SSE-B2"


@pytest.mark.usefixtures("cut_small")
@pytest.mark.parametrize("size", [5, LARGE])
def test_a_key_that_is_missing_wrong_or_unknown_is_named(bench: Bench, size: int) -> None:
    secret(bench, "a", size, hash_first=True)
    before = bench.versions("a")
    out = {"source": bench.b2("a"), "destination": "data://out/x"}
    on = {"source": bench.b2("a"), "destination": bench.b2("b")}
    for kind, ends in (("download", out), ("copy", on)):
        assert code(bench, kind, **ends) == "customer_key_needed"
        assert code(bench, kind, **ends, customer_key="w") == "customer_key_wrong"
        assert code(bench, kind, **ends, customer_key="nobody") == "customer_key_unknown"
    assert code(bench, "download", source=bench.b2("a"), customer_key="w") == "customer_key_wrong"
    assert code(bench, "share", source=bench.b2("a")) == "not_shareable"
    assert code(bench, "upload", source="data:,x", destination=bench.b2("b"),
                encryption="SSE-C:nobody") == "customer_key_unknown"  # fmt: skip
    assert bench.versions("b") == []
    assert list(bench.folder.joinpath("out").iterdir()) == []
    assert bench.versions("a") == before


def test_a_large_upload_goes_on_with_its_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(LARGE)
    source = bench.put("a", content)
    ends: dict[str, Any] = {"source": source, "destination": bench.b2("a")}
    ends |= {"encryption": "SSE-C:k", "hash_first": True}
    first = bench.attempt()
    bench.admin.fault("internal_error", calls="b2_upload_part", skip=2)
    with pytest.raises(JobError):
        bench.run("upload", first, **ends)
    bench.admin.reset()
    noted = first.journal.load()
    assert any(name.startswith("part.") for name in noted)
    for key in CUSTOMER_KEYS.values():
        assert key not in json.dumps(noted)
    again = bench.run("upload", bench.attempt(number=2, journal=first.journal), **ends)
    assert again.resumed_bytes > 0
    got = bench.run("download", bench.attempt("down"), source=bench.b2("a"), customer_key="k",
                    destination="data://out/x")  # fmt: skip
    assert got.verified
    assert bench.out("x").read_bytes() == content


def test_a_key_that_changes_under_an_upload_is_said(bench: Bench) -> None:
    ends = {"source": bench.put("a", os.urandom(LARGE)), "destination": bench.b2("a")}
    first = bench.attempt()
    bench.admin.fault("internal_error", calls="b2_upload_part", skip=2)
    with pytest.raises(JobError):
        bench.run("upload", first, **ends, encryption="SSE-C:k")
    bench.admin.reset()
    secrets = json.loads(bench.secrets.read_text())
    secrets["customer_keys"]["k"] = secrets["customer_keys"]["w"]
    bench.secrets.write_text(json.dumps(secrets))
    with pytest.raises(JobError) as caught:
        bench.run("upload", bench.attempt(number=2, journal=first.journal), **ends,
                  encryption="SSE-C:k")  # fmt: skip
    assert caught.value.code == "customer_key_wrong"
    assert bench.versions("a") == []


def test_skip_and_replace_see_files_with_a_key(bench: Bench) -> None:
    content = secret(bench, "a")
    ends = {"source": bench.put("a", content), "destination": bench.b2("a"),
            "encryption": "SSE-C:k"}  # fmt: skip
    assert bench.run("upload", bench.attempt("s"), **ends, if_exists="skip").status == "unchanged"
    bench.run("upload", bench.attempt("r"), **ends, if_exists="replace")
    assert len(bench.versions("a")) == 1


@pytest.mark.parametrize("kind", ["upload", "download", "copy"])
def test_a_connection_that_breaks_shows_no_key(bench: Bench, kind: str) -> None:
    """Frames of the HTTP session had the headers in their variables, and these the key."""
    secret(bench, "a")
    calls = {"upload": "b2_upload_file", "download": "b2_download_file_by_name",
             "copy": "b2_copy_file"}[kind]  # fmt: skip
    arguments = {
        "upload": {"source": "data:,x", "destination": bench.b2("b"), "encryption": "SSE-C:k"},
        "download": {"source": bench.b2("a"), "customer_key": "k"},
        "copy": {"source": bench.b2("a"), "destination": bench.b2("b"), "customer_key": "k"},
    }[kind]
    fault = "lost_response" if kind == "download" else "reset_request"
    bench.admin.fault(fault, calls=calls)
    assert code(bench, kind, **arguments) == "connection_broken"
