"""The verbs that move files."""

from __future__ import annotations

import hashlib
import urllib.request

from acceptance.conftest import Run
from support.installation import Installation

CONTENT = b"\x89PNG not quite\n" * 1000
SHA1 = hashlib.sha1(CONTENT).hexdigest()


def put(stack: Installation, name: str) -> None:
    path = stack.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)


def test_the_job_of_the_readme(cli: Run, stack: Installation, bucket: str) -> None:
    put(stack, "somecollection/somefile.png")

    done = cli(
        "upload",
        "data://.my/somecollection/somefile.png",
        f"b2://{bucket}/remotefolder/remotefile.png",
        "--wait",
        "--json",
    )

    assert (done.status, done.err) == (0, "")
    result = done.json
    assert result["sha1"] == SHA1
    assert result["verified"] is True
    assert result["uri"] == f"b2://{bucket}/remotefolder/remotefile.png"
    with urllib.request.urlopen(result["url"], timeout=10) as answer:
        assert answer.read() == CONTENT
    assert stack.client.job(result["job"]).state() == "succeeded"


def test_without_wait_the_id_is_printed_and_can_be_waited_for(
    cli: Run, stack: Installation, bucket: str
) -> None:
    put(stack, "a.bin")
    queued = cli("upload", "data://.my/a.bin", f"b2://{bucket}/folder/")
    job_id = queued.out.strip()
    as_json = cli("upload", "data://.my/a.bin", f"b2://{bucket}/folder/", "--key", "k", "--json")

    waited = cli("job", "wait", job_id, "--json")

    assert queued.err == ""
    assert waited.json["name"] == "folder/a.bin"
    assert as_json.json.keys() == {"job"}
    again = cli("upload", "data://.my/a.bin", f"b2://{bucket}/folder/", "--key", "k", "--json")
    assert again.json == as_json.json


def test_for_people_the_result_is_a_list_of_fields(
    cli: Run, stack: Installation, bucket: str
) -> None:
    put(stack, "a.bin")
    done = cli("upload", "data://.my/a.bin", f"b2://{bucket}/a.bin", "--timeout", "1m")

    fields = dict(line.split(None, 1) for line in done.out.splitlines())
    assert fields["sha1"] == SHA1
    assert fields["uri"] == f"b2://{bucket}/a.bin"
    assert "calls" not in fields


def test_down_again_to_a_file_and_to_the_terminal(
    cli: Run, stack: Installation, bucket: str
) -> None:
    put(stack, "up.bin")
    cli("upload", "data://.my/up.bin", f"b2://{bucket}/up.bin", "--wait")

    down = cli("download", f"b2://{bucket}/up.bin", "data://.my/down.bin", "--wait")
    look = cli("download", f"b2://{bucket}/up.bin", "--range", "1-3", "--wait")

    assert down.status == 0
    assert (stack.data / "down.bin").read_bytes() == CONTENT
    assert look.out == "PNG"


def test_copy_delete_and_share(cli: Run, stack: Installation, bucket: str) -> None:
    put(stack, "up.bin")
    cli("upload", "data://.my/up.bin", f"b2://{bucket}/a/up.bin", "--wait")

    copied = cli("copy", f"b2://{bucket}/a/up.bin", f"b2://{bucket}/b/up.bin", "--wait", "--json")
    shared = cli("share", f"b2://{bucket}/b/up.bin", "--seconds", "10m")
    removed = cli("delete", f"b2://{bucket}/a/", "--versions", "all", "--wait", "--json")
    gone = cli("download", f"b2://{bucket}/a/up.bin", "--wait")

    assert copied.json["sha1"] == SHA1
    with urllib.request.urlopen(shared.out.strip(), timeout=10) as answer:
        assert answer.read() == CONTENT
    assert removed.json["deleted"] == 1
    assert gone.status == 1


def test_a_folder_is_made_and_removed(cli: Run, bucket: str) -> None:
    made = cli("upload", "data:,", f"b2://{bucket}/new-folder/", "--wait", "--json")
    removed = cli("delete", f"b2://{bucket}/new-folder/", "--versions", "all", "--wait", "--json")

    assert made.json["name"] == "new-folder/.bzEmpty"
    assert removed.json["deleted"] == 1


def test_a_bucket_from_creation_to_deletion(cli: Run) -> None:
    name = "acceptance-bucket"
    made = cli("bucket", "create", name, "--type", "private", "--wait", "--json")
    rules = '[{"fileNamePrefix": "tmp/", "daysFromUploadingToHiding": 1}]'
    cli("bucket", "update", name, "--type", "public", "--lifecycle", rules, "--wait")
    listed = cli("bucket", "list")
    removed = cli("bucket", "delete", name, "--wait", "--json")

    assert made.json["status"] == "created"
    assert dict(line.split() for line in listed.out.splitlines())[name] == "allPublic"
    assert removed.json["status"] == "deleted"
    assert name not in cli("bucket", "list").out


def test_check_says_what_the_key_may_do(cli: Run) -> None:
    done = cli("check", "--json")

    assert "writeFiles" in done.json["capabilities"]
    assert done.json["cannot"] == {}
