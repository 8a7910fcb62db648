"""How commands end: one sentence, a hint and a code on stderr, and the exit code of its kind."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from acceptance.conftest import COMMAND, Run
from support.installation import Installation
from support.waiting import eventually, free_port


def code(err: str) -> str:
    """The code of the one sentence on stderr."""
    found = re.fullmatch(r"Error: .+ \[(\w+)\]\n", err)
    assert found, err
    return found[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["upload"], "usage"),
        (["nonsense"], "usage"),
        (["upload", "--priority", "urgent", "data:,x", "b2://bucket/x"], "usage"),
        (["upload", "--timeout", "soon", "data:,x", "b2://bucket/x"], "usage"),
        (["upload", "--info", "novalue", "data:,x", "b2://bucket/x"], "usage"),
        (["bucket", "create", "some-bucket", "--lifecycle", "{"], "usage"),
        (["job", "retry"], "usage"),
        (["upload", "nowhere", "b2://some-bucket/x"], "source_missing"),
        (["upload", "data:,x", "b2://some-bucket/a//b"], "name_refused"),
        (["bucket", "create", "b!"], "bucket_name_refused"),
        (["share", "b2://some-bucket/x", "--seconds", "8d"], "invalid_request"),
        (["job", "show", "no-such-job"], "job_not_found"),
        (["job", "list", "--redis-url", "ftp://host"], "invalid_redis_url"),
        (["demo", "/no/such/file"], "usage"),
    ],
)
def test_wrong_usage_is_2(idle: Run, arguments: list[str], expected: str) -> None:
    done = idle(*arguments)

    assert (done.status, done.out) == (2, "")
    assert code(done.err) == expected


def test_a_failed_job_is_1_and_its_failure_is_data(cli: Run, bucket: str) -> None:
    arguments = ["upload", "data://.my/not-there", f"b2://{bucket}/x", "--wait"]

    plain, as_json = cli(*arguments), cli(*arguments, "--json")

    assert (plain.status, plain.out) == (1, "")
    assert code(plain.err) == "source_missing"
    assert as_json.status == 1
    assert as_json.json["state"] == "failed"
    assert as_json.json["failure"]["code"] == "source_missing"
    assert as_json.json["failure"]["act"] == "caller"


def test_a_queue_that_is_down_is_3(idle: Run) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"

    for arguments in (["upload", "data:,x", "b2://some-bucket/x"], ["job", "list"], ["check"]):
        done = idle(*arguments, B2JOBS_REDIS_URL=nobody)
        assert (done.status, done.out) == (3, "")
        assert code(done.err) == "queue_unavailable"


def test_a_password_on_the_command_line_is_said(idle: Run) -> None:
    for place in (
        f":s3cret@127.0.0.1:{free_port()}/0",
        f"127.0.0.1:{free_port()}/0?password=s3cret",
    ):
        done = idle("job", "list", "--redis-url", f"redis://{place}")
        assert "everybody on this machine" in done.err
        assert "s3cret" not in done.err
        assert done.out == ""


def test_the_option_is_stronger_than_the_environment(idle: Run) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"

    assert idle("--redis-url", nobody, "job", "list").status == 3
    assert idle("job", "list", "--redis-url", nobody).status == 3
    assert idle("job", "list", "--redis-url", nobody, "--json").out == ""


def test_waiting_too_long_is_4_and_the_job_goes_on(idle: Run, installation: Installation) -> None:
    done = idle("upload", "data:,x", "b2://some-bucket/x", "--timeout", "0.1s")

    assert (done.status, done.out) == (4, "")
    assert code(done.err) == "wait_timeout"
    (record,) = installation.client.records.listed("queued")
    assert record.id in done.err


def test_a_cancelled_job_is_5(idle: Run) -> None:
    job_id = idle("upload", "data:,x", "b2://some-bucket/x").out.strip()
    cancelled = idle("job", "cancel", job_id)
    done = idle("job", "wait", job_id, "--json")

    assert cancelled.out == f"{job_id}  cancelled\n"
    assert done.status == 5
    assert done.json["state"] == "cancelled"
    assert code(done.err) == "cancelled"


@pytest.mark.parametrize(
    ("asked", "followed"),
    [
        (["upload", "data:,x", "b2://some-bucket/x", "--wait"], "job wait"),
        (["batch", "submit", "data://r/a/", "b2://some-bucket/a/", "--wait"], "batch watch"),
        (["sync", "data://r/a/", "b2://some-bucket/a/", "--wait"], "batch watch"),
        (["sync", "data://r/a/", "b2://some-bucket/a/", "--dry-run"], "job wait"),
    ],
    ids=["upload", "batch", "sync", "dry run"],
)
def test_ctrl_c_is_130_and_says_how_to_follow_the_job(
    installation: Installation, asked: list[str], followed: str
) -> None:
    waiting = subprocess.Popen(
        [*COMMAND, *asked],
        env=installation.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    (job,) = eventually(lambda: list(installation.client.records.listed("queued")))
    waiting.send_signal(signal.SIGINT)

    out, err = waiting.communicate(timeout=30)
    assert out == b""
    assert err.decode().strip().splitlines()[-1].endswith(f"b2jobs {followed} {job.id}")
    assert waiting.returncode == 130


def test_a_job_nobody_serves_says_so_while_it_is_waited_for(idle: Run) -> None:
    done = idle("check", "--timeout", "4s")

    assert "[no_worker]" in done.err
    assert done.status == 4


def test_no_worker_here_is_told_by_the_healthcheck(
    idle: Run, cli: Run, stack: Installation
) -> None:
    records = stack.client.records
    eventually(lambda: any("normal" in name for name in records.workers(within_seconds=30)))
    silent, alive = idle("worker", "--healthcheck"), cli("worker", "--healthcheck")

    assert silent.status == 1
    assert code(silent.err) == "worker_silent"
    assert alive.status == 0
    assert "|high,normal,low" in alive.out


def test_a_closed_pipe_is_no_error(idle: Run, installation: Installation) -> None:
    for _ in range(3):
        idle("upload", "data:,x", "b2://some-bucket/x")
    done = subprocess.run(
        f"{' '.join(COMMAND)} job list --json | head -n 1",
        shell=True,
        env=installation.env(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
