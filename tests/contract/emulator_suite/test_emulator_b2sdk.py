"""B2's own Python SDK, unmodified, does its work against the emulator."""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
from pathlib import Path

import pytest
from b2sdk import v3 as b2sdk
from b2sdk.v3 import exception as failure

from support.emulator_process import PART_BYTES, Running

LARGE = PART_BYTES * 5 + 77


def content(version: b2sdk.Bucket, name: str, **options: object) -> bytes:
    out = io.BytesIO()
    version.download_file_by_name(name, **options).save(out)
    return out.getvalue()


def names(bucket: b2sdk.Bucket, **options: object) -> list[tuple[str, str]]:
    options = {"latest_only": False, "recursive": True, **options}
    return [(v.file_name, v.action) for v, _ in bucket.ls(**options)]


class TestFiles:
    def test_a_small_file_goes_up_and_comes_back(self, bucket: b2sdk.Bucket) -> None:
        version = bucket.upload_bytes(
            b"hello", "a folder/ö +%.txt", content_type="text/plain", file_info={"Why": "é & +"}
        )
        assert version.content_sha1 == hashlib.sha1(b"hello").hexdigest()
        assert version.file_info == {"why": "é & +"}
        assert content(bucket, "a folder/ö +%.txt") == b"hello"
        found = bucket.get_file_info_by_name("a folder/ö +%.txt")
        assert (found.id_, found.file_info, found.content_type) == (
            version.id_,
            {"why": "é & +"},
            "text/plain",
        )

    def test_an_empty_file(self, bucket: b2sdk.Bucket) -> None:
        bucket.upload_bytes(b"", "nothing")
        assert content(bucket, "nothing") == b""

    def test_a_local_file_keeps_its_time(self, bucket: b2sdk.Bucket, tmp_path: Path) -> None:
        source = tmp_path / "file"
        source.write_bytes(os.urandom(50_000))
        info = {"src_last_modified_millis": "1234567890123"}
        version = bucket.upload_local_file(str(source), "file", file_info=info)
        assert version.mod_time_millis == 1_234_567_890_123
        target = tmp_path / "back"
        bucket.download_file_by_name("file").save_to(target)
        assert target.read_bytes() == source.read_bytes()
        assert int(target.stat().st_mtime) == 1_234_567_890

    def test_versions_hide_unhide_delete(self, bucket: b2sdk.Bucket) -> None:
        first = bucket.upload_bytes(b"1", "f")
        second = bucket.upload_bytes(b"2", "f")
        assert [v.id_ for v, _ in bucket.ls(latest_only=False)] == [second.id_, first.id_]
        bucket.hide_file("f")
        assert list(bucket.ls()) == []
        assert names(bucket) == [("f", "hide"), ("f", "upload"), ("f", "upload")]
        with pytest.raises(failure.FileAlreadyHidden):
            bucket.hide_file("f")
        with pytest.raises(failure.FileNotPresent):
            content(bucket, "f")
        bucket.unhide_file("f")
        assert content(bucket, "f") == b"2"
        bucket.delete_file_version(second.id_, "f")
        assert content(bucket, "f") == b"1"
        with pytest.raises(failure.FileNotPresent):
            bucket.delete_file_version(second.id_, "f")
        with pytest.raises(failure.FileNotPresent):
            bucket.hide_file("never there")

    def test_folders(self, bucket: b2sdk.Bucket) -> None:
        for name in ("a/1", "a/2", "b/c/3", "d"):
            bucket.upload_bytes(b"x", name)
        found = [(v.file_name, folder) for v, folder in bucket.ls()]
        assert found == [("a/1", "a/"), ("b/c/3", "b/"), ("d", None)]
        assert [v.file_name for v, _ in bucket.ls("a")] == ["a/1", "a/2"]

    def test_ranges(self, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(1000)
        version = bucket.upload_bytes(body, "r")
        assert content(bucket, "r", range_=(10, 19)) == body[10:20]
        out = io.BytesIO()
        bucket.api.download_file_by_id(version.id_, range_=(990, 999)).save(out)
        assert out.getvalue() == body[990:]
        with pytest.raises(failure.UnsatisfiableRange):
            content(bucket, "r", range_=(1000, 1001))

    def test_cache_and_disposition_headers(self, bucket: b2sdk.Bucket) -> None:
        bucket.upload_bytes(
            b"x",
            "h",
            cache_control="max-age=3600",
            content_disposition='attachment; filename="x"',
            content_language="en",
            content_encoding="identity",
            expires="Thu, 01 Dec 2050 16:00:00 GMT",
        )
        found = bucket.download_file_by_name("h").download_version
        assert found.cache_control == "max-age=3600"
        assert found.content_disposition == 'attachment; filename="x"'
        assert found.content_language == "en"
        assert found.expires == "Thu, 01 Dec 2050 16:00:00 GMT"

    def test_a_custom_upload_time_orders_versions(self, bucket: b2sdk.Bucket) -> None:
        bucket.upload_bytes(b"late", "t", custom_upload_timestamp=2000)
        bucket.upload_bytes(b"early", "t", custom_upload_timestamp=1000)
        assert content(bucket, "t") == b"late"


class TestLargeFiles:
    def test_parts_become_one_file(self, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(LARGE)
        version = bucket.upload_bytes(body, "large")
        assert version.size == LARGE
        assert version.content_sha1 == "none"
        assert version.get_content_sha1() == hashlib.sha1(body).hexdigest()
        assert content(bucket, "large") == body
        assert (
            content(bucket, "large", range_=(PART_BYTES - 3, PART_BYTES + 3))
            == (body[PART_BYTES - 3 : PART_BYTES + 4])
        )
        assert list(bucket.list_unfinished_large_files()) == []

    def test_a_stream_without_a_length(self, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(LARGE)
        bucket.upload_unbound_stream(
            io.BytesIO(body), "unbound", recommended_upload_part_size=PART_BYTES
        )
        assert content(bucket, "unbound") == body

    def test_an_unfinished_one_is_resumed(self, b2: Running, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(LARGE)
        session = bucket.api.session
        sha1 = hashlib.sha1(body).hexdigest()
        info = {"large_file_sha1": sha1}
        started = session.start_large_file(bucket.id_, "resumed", "application/octet-stream", info)
        first = body[:PART_BYTES]
        session.upload_part(
            started["fileId"], 1, len(first), hashlib.sha1(first).hexdigest(), io.BytesIO(first)
        )
        assert [part.part_number for part in bucket.api.list_parts(started["fileId"])] == [1]
        assert [file.file_id for file in bucket.list_unfinished_large_files()] == [
            started["fileId"]
        ]
        version = bucket.upload_bytes(
            body, "resumed", content_type="application/octet-stream", file_info=info
        )
        assert version.id_ == started["fileId"]
        assert content(bucket, "resumed") == body
        assert b2.admin.repeated_bytes() == 0

    def test_cancel_removes_the_parts(self, bucket: b2sdk.Bucket) -> None:
        session = bucket.api.session
        started = session.start_large_file(bucket.id_, "c", "text/plain", {})
        part = b"x" * PART_BYTES
        sha1 = hashlib.sha1(part).hexdigest()
        session.upload_part(started["fileId"], 1, len(part), sha1, io.BytesIO(part))
        assert names(bucket) == [("c", "start")]
        bucket.cancel_large_file(started["fileId"])
        assert names(bucket) == []
        with pytest.raises(failure.BadRequest, match="No active upload"):
            session.finish_large_file(started["fileId"], [sha1])

    def test_what_finish_refuses(self, bucket: b2sdk.Bucket) -> None:
        session = bucket.api.session
        started = session.start_large_file(bucket.id_, "w", "text/plain", {})["fileId"]
        small, last = b"s", b"l"
        digests = [hashlib.sha1(data).hexdigest() for data in (small, last)]
        session.upload_part(started, 1, 1, digests[0], io.BytesIO(small))
        with pytest.raises(failure.MissingPart):
            session.finish_large_file(started, digests)
        session.upload_part(started, 2, 1, digests[1], io.BytesIO(last))
        with pytest.raises(failure.PartSha1Mismatch):
            session.finish_large_file(started, [digests[0], digests[0]])
        with pytest.raises(failure.BadRequest, match="smaller than"):
            session.finish_large_file(started, digests)
        session.upload_part(
            started,
            1,
            PART_BYTES,
            hashlib.sha1(bytes(PART_BYTES)).hexdigest(),
            io.BytesIO(bytes(PART_BYTES)),
        )
        whole = [hashlib.sha1(bytes(PART_BYTES)).hexdigest(), digests[1]]
        assert session.finish_large_file(started, whole)["contentLength"] == PART_BYTES + 1


class TestCopies:
    def test_whole_and_range_and_metadata(self, api: b2sdk.B2Api, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(20_000)
        source = bucket.upload_bytes(body, "s", content_type="text/x-a", file_info={"k": "v"})
        copied = bucket.copy(source.id_, "whole")
        assert (copied.action, copied.content_type, copied.file_info) == (
            "copy",
            "text/x-a",
            {"k": "v"},
        )
        assert ("whole", "upload") in names(bucket)
        replaced = bucket.copy(
            source.id_, "r", offset=5, length=10, content_type="text/x-b", file_info={"n": "1"}
        )
        assert (replaced.content_type, replaced.file_info) == ("text/x-b", {"n": "1"})
        assert content(bucket, "r") == body[5:15]
        bucket.delete_file_version(source.id_, "s")
        assert content(bucket, "whole") == body

    def test_a_large_copy_in_parts(self, bucket: b2sdk.Bucket) -> None:
        body = os.urandom(LARGE)
        source = bucket.upload_bytes(body, "s")
        pieces = [
            b2sdk.CopySource(source.id_, 0, 3 * PART_BYTES),
            b2sdk.CopySource(source.id_, 3 * PART_BYTES, LARGE - 3 * PART_BYTES),
        ]
        bucket.concatenate(pieces, "joined")
        bucket.delete_file_version(source.id_, "s")
        assert content(bucket, "joined") == body

    def test_a_missing_source(self, bucket: b2sdk.Bucket) -> None:
        version = bucket.upload_bytes(b"x", "s")
        bucket.delete_file_version(version.id_, "s")
        with pytest.raises(failure.FileNotPresent):
            bucket.copy(version.id_, "t")


class TestSync:
    def test_both_ways_with_delete(self, bucket: b2sdk.Bucket, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        for name in ("a.txt", "d/b.txt", "d/e/c.txt"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(name)
        target.mkdir()
        self._sync(str(source), f"b2://{bucket.name}/s", bucket.api)
        (source / "a.txt").unlink()
        self._sync(str(source), f"b2://{bucket.name}/s", bucket.api)
        self._sync(f"b2://{bucket.name}/s", str(target), bucket.api)
        found = {str(p.relative_to(target)): p.read_text() for p in target.rglob("*.txt")}
        assert found == {"d/b.txt": "d/b.txt", "d/e/c.txt": "d/e/c.txt"}

    @staticmethod
    def _sync(source: str, target: str, api: b2sdk.B2Api) -> None:
        synchronizer = b2sdk.Synchronizer(4, keep_days_or_delete=b2sdk.KeepOrDeleteMode.DELETE)
        with b2sdk.SyncReport(io.StringIO(), no_progress=True) as reporter:
            synchronizer.sync_folders(
                b2sdk.parse_folder(source, api),
                b2sdk.parse_folder(target, api),
                now_millis=int(time.time() * 1000),
                reporter=reporter,
            )


class TestBuckets:
    def test_settings_are_kept(self, api: b2sdk.B2Api, bucket: b2sdk.Bucket) -> None:
        changed = bucket.update(
            bucket_type="allPublic",
            bucket_info={"a": "b"},
            lifecycle_rules=[
                {
                    "fileNamePrefix": "logs/",
                    "daysFromHidingToDeleting": 1,
                    "daysFromUploadingToHiding": 2,
                }
            ],
            default_server_side_encryption=b2sdk.SSE_B2_AES,
            if_revision_is=bucket.revision,
        )
        assert changed.revision == bucket.revision + 1
        (found,) = api.list_buckets(bucket.name)
        assert found.type_ == "allPublic"
        assert found.bucket_info == {"a": "b"}
        assert found.lifecycle_rules[0]["daysFromUploadingToHiding"] == 2
        assert found.default_server_side_encryption == b2sdk.SSE_B2_AES
        with pytest.raises(failure.Conflict):
            bucket.update(bucket_info={}, if_revision_is=bucket.revision)

    def test_names_are_taken_once(self, api: b2sdk.B2Api, bucket: b2sdk.Bucket) -> None:
        with pytest.raises(failure.DuplicateBucketName):
            api.create_bucket(bucket.name, "allPrivate")

    def test_only_an_empty_one_is_deleted(
        self, b2: Running, api: b2sdk.B2Api, bucket: b2sdk.Bucket
    ) -> None:
        version = bucket.upload_bytes(b"x", "f")
        with warnings.catch_warnings():
            # b2sdk has no class for this code and warns about it; so does the real B2.
            warnings.simplefilter("ignore")
            with pytest.raises(failure.BadRequest, match="non-empty"):
                api.delete_bucket(bucket)
        bucket.delete_file_version(version.id_, "f")
        api.delete_bucket(bucket)
        with pytest.raises(failure.NonExistentBucket):
            b2.api().get_bucket_by_name(bucket.name)

    def test_a_public_one_opens_for_anybody(self, b2: Running, bucket: b2sdk.Bucket) -> None:
        from urllib.error import HTTPError
        from urllib.request import urlopen

        bucket.upload_bytes(b"open", "f")
        url = bucket.get_download_url("f")
        with pytest.raises(HTTPError) as closed:
            urlopen(url)
        assert closed.value.code == 401
        bucket.update(bucket_type="allPublic")
        with urlopen(url) as response:
            assert response.read() == b"open"

    def test_notification_rules(self, bucket: b2sdk.Bucket) -> None:
        rule = {
            "name": "r",
            "eventTypes": ["b2:ObjectCreated:*"],
            "isEnabled": True,
            "objectNamePrefix": "",
            "targetConfiguration": {"targetType": "webhook", "url": "https://example.com/"},
        }
        bucket.set_notification_rules([rule])
        (found,) = bucket.get_notification_rules()
        assert found["name"] == "r"
        assert found["isSuspended"] is False


class TestKeys:
    def test_one_bucket_and_prefix(
        self, b2: Running, api: b2sdk.B2Api, bucket: b2sdk.Bucket
    ) -> None:
        other = api.create_bucket(f"{bucket.name}-other", "allPrivate")
        bucket.upload_bytes(b"1", "in/f")
        outside = bucket.upload_bytes(b"2", "out/f")
        key = api.create_key(
            ["listBuckets", "listFiles", "readFiles", "writeFiles"],
            "narrow",
            bucket_ids=[bucket.id_],
            name_prefix="in/",
        )
        narrow = b2.api(key.id_, key.application_key)
        allowed = narrow.account_info.get_allowed()
        assert allowed["buckets"] == [{"id": bucket.id_, "name": bucket.name}]
        assert allowed["namePrefix"] == "in/"
        mine = narrow.get_bucket_by_name(bucket.name)
        assert content(mine, "in/f") == b"1"
        mine.upload_bytes(b"3", "in/g")
        assert [v.file_name for v, _ in mine.ls("in/")] == ["in/f", "in/g"]
        for forbidden in (
            lambda: content(mine, "out/f"),
            lambda: narrow.download_file_by_id(outside.id_),
            lambda: mine.upload_bytes(b"4", "out/g"),
            lambda: mine.hide_file("out/f"),
            lambda: mine.delete_file_version(outside.id_, "out/f"),
            lambda: narrow.session.list_file_names(bucket.id_),
            lambda: narrow.session.list_file_names(other.id_, prefix="in/"),
            lambda: narrow.session.get_upload_url(other.id_),
            lambda: narrow.session.list_buckets(narrow.get_account_id()),
            lambda: narrow.create_bucket("another-bucket", "allPrivate"),
            lambda: list(narrow.list_keys()),
            lambda: mine.get_download_authorization("in/", 60),
        ):
            # An upload is tried again with new URLs, which does not help.
            with pytest.raises(
                (failure.Unauthorized, failure.RestrictedBucket, failure.MaxRetriesExceeded),
                match=r"restricted|lacks|unauthorized",
            ):
                forbidden()

    def test_several_buckets(self, b2: Running, api: b2sdk.B2Api, bucket: b2sdk.Bucket) -> None:
        second = api.create_bucket(f"{bucket.name}-2", "allPrivate")
        key = api.create_key(
            ["listBuckets", "listFiles", "writeFiles"],
            "two",
            bucket_ids=[bucket.id_, second.id_],
        )
        two = b2.api(key.id_, key.application_key)
        for name in (bucket.name, second.name):
            two.get_bucket_by_name(name).upload_bytes(b"x", "f")

    def test_list_expire_delete(self, b2: Running, api: b2sdk.B2Api) -> None:
        key = api.create_key(["listFiles"], "short", valid_duration_seconds=1000)
        assert key.expiration_timestamp_millis > time.time() * 1000
        assert key.id_ in {found.id_ for found in api.list_keys()}
        bearer = b2.api(key.id_, key.application_key)
        api.delete_key(key)
        with pytest.raises(failure.InvalidAuthToken):
            b2.api(key.id_, key.application_key)
        with pytest.raises(failure.InvalidAuthToken):
            bearer.session.list_file_names("whatever")

    def test_a_key_cannot_give_what_it_lacks(self, b2: Running, api: b2sdk.B2Api) -> None:
        key = api.create_key(["writeKeys", "listFiles"], "maker")
        maker = b2.api(key.id_, key.application_key)
        maker.create_key(["listFiles"], "fine")
        with pytest.raises(failure.Unauthorized):
            maker.create_key(["deleteFiles"], "too-much")

    def test_a_wrong_secret(self, b2: Running) -> None:
        with pytest.raises(failure.InvalidAuthToken):
            b2.api(application_key="wrong")


class TestSharing:
    def test_a_token_opens_its_prefix_until_it_ends(
        self, b2: Running, bucket: b2sdk.Bucket
    ) -> None:
        from urllib.error import HTTPError
        from urllib.parse import quote
        from urllib.request import urlopen

        bucket.upload_bytes(b"mine", "shared/f")
        bucket.upload_bytes(b"other", "secret/f")
        disposition = 'attachment; filename="ö"'
        token = bucket.get_download_authorization("shared/", 60)
        fixed = bucket.api.session.get_download_authorization(bucket.id_, "shared/", 60)
        assert fixed["fileNamePrefix"] == "shared/"
        url = bucket.get_download_url("shared/f") + f"?Authorization={token}"
        with urlopen(url) as response:
            assert response.read() == b"mine"
        with urlopen(f"{url}&b2ContentDisposition={quote(disposition)}") as response:
            assert response.headers["Content-Disposition"].encode("latin-1").decode() == disposition
        for closed in (
            bucket.get_download_url("secret/f") + f"?Authorization={token}",
            bucket.get_download_url("shared/f") + "?Authorization=made-up",
        ):
            with pytest.raises(HTTPError) as refused:
                urlopen(closed)
            assert refused.value.code == 401


class TestLocks:
    def test_retention_and_hold_forbid_deleting(self, b2: Running, api: b2sdk.B2Api) -> None:
        bucket = b2.bucket("locked-bucket", is_file_lock_enabled=True)
        until = int(time.time() * 1000) + 3_600_000
        governed = bucket.upload_bytes(
            b"g",
            "g",
            file_retention=b2sdk.FileRetentionSetting(b2sdk.RetentionMode.GOVERNANCE, until),
        )
        assert api.get_file_info(governed.id_).file_retention.retain_until == until
        with pytest.raises(failure.Unauthorized, match="Access Denied"):
            governed.delete()
        governed.delete(bypass_governance=True)
        held = bucket.upload_bytes(b"h", "h", legal_hold=b2sdk.LegalHold.ON)
        assert bucket.get_file_info_by_name("h").legal_hold is b2sdk.LegalHold.ON
        with pytest.raises(failure.Unauthorized, match="Access Denied"):
            held.delete(bypass_governance=True)
        held.update_legal_hold(b2sdk.LegalHold.OFF)
        held.delete()

    def test_compliance_only_grows(self, b2: Running) -> None:
        bucket = b2.bucket("compliance-bucket", is_file_lock_enabled=True)
        until = int(time.time() * 1000) + 3_600_000
        mode = b2sdk.RetentionMode.COMPLIANCE
        version = bucket.upload_bytes(b"c", "c").update_retention(
            b2sdk.FileRetentionSetting(mode, until)
        )
        version.update_retention(b2sdk.FileRetentionSetting(mode, until + 1000))
        with pytest.raises(failure.RetentionWriteError):
            version.update_retention(b2sdk.FileRetentionSetting(mode, until))
        with pytest.raises(failure.RetentionWriteError):
            version.update_retention(
                b2sdk.FileRetentionSetting(b2sdk.RetentionMode.NONE), bypass_governance=True
            )
        with pytest.raises(failure.Unauthorized, match="Access Denied"):
            version.delete(bypass_governance=True)

    def test_the_buckets_default_is_used(self, b2: Running) -> None:
        bucket = b2.bucket("default-lock-bucket", is_file_lock_enabled=True)
        bucket.update(
            default_retention=b2sdk.BucketRetentionSetting(
                b2sdk.RetentionMode.GOVERNANCE, b2sdk.RetentionPeriod(days=1)
            )
        )
        version = bucket.upload_bytes(b"d", "d")
        assert version.file_retention.mode is b2sdk.RetentionMode.GOVERNANCE
        with pytest.raises(failure.DisablingFileLockNotSupported):
            bucket.update(is_file_lock_enabled=False)


class TestEncryption:
    def test_sse_b2_is_reported(self, api: b2sdk.B2Api, bucket: b2sdk.Bucket) -> None:
        version = bucket.upload_bytes(b"x", "f", encryption=b2sdk.SSE_B2_AES)
        assert version.server_side_encryption == b2sdk.SSE_B2_AES
        assert api.get_file_info(version.id_).server_side_encryption == b2sdk.SSE_B2_AES

    @pytest.mark.parametrize("size", [10, LARGE])
    def test_sse_c_needs_its_key_again(self, bucket: b2sdk.Bucket, size: int) -> None:
        body = os.urandom(size)
        key, wrong = (
            b2sdk.EncryptionSetting(
                b2sdk.EncryptionMode.SSE_C,
                b2sdk.EncryptionAlgorithm.AES256,
                b2sdk.EncryptionKey(os.urandom(32), "the-key"),
            )
            for _ in range(2)
        )
        version = bucket.upload_bytes(body, "f", encryption=key)
        assert version.server_side_encryption.mode is b2sdk.EncryptionMode.SSE_C
        assert content(bucket, "f", encryption=key) == body
        with pytest.raises(failure.SSECKeyError):
            content(bucket, "f", encryption=wrong)
        with pytest.raises(failure.BadRequest, match="correct parameters must be provided"):
            content(bucket, "f")
        copied = bucket.copy(
            version.id_,
            "g",
            source_encryption=key,
            destination_encryption=b2sdk.SSE_B2_AES,
            source_file_info=version.file_info,
            source_content_type=version.content_type,
        )
        assert copied.size == size
        assert content(bucket, "g") == body
