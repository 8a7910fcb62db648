"""What an application sees: types that find mistakes, functions for all, awaitable twins."""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
import subprocess
import sys
import textwrap
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

import b2jobs
import b2jobs.aio
from b2jobs.requests import KINDS, options
from b2jobs.testing import RecordingClient

TWINS = [
    (b2jobs.Client, b2jobs.AsyncClient),
    (b2jobs.Handle, b2jobs.AsyncHandle),
    (b2jobs.BatchHandle, b2jobs.AsyncBatchHandle),
    (b2jobs.Listing, b2jobs.AsyncListing),
]
AT_ONCE = {"job", "batch_job"}  # they ask nothing


def mypy(folder: Path, text: str) -> str:
    file = folder / "application.py"
    file.write_text(text)
    command = ("-m", "mypy", "--strict", "--no-error-summary", "--config-file", "", str(file))
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    ).stdout


def test_a_type_checker_finds_mistakes_and_nothing_else(tmp_path: Path) -> None:
    wrong = """\
        import b2jobs
        b2jobs.upload("a", "b", contenttyp="x")
        b2jobs.upload("a", "b", priority="urgnt")
        b2jobs.download("a").wait().ulr
        b2jobs.sync("a", "b", compare="mtime")
        b2jobs.Client().batch("a", if_exist="skip")
        b2jobs.Client().share("a", secs=5)
        b2jobs.jobs(state="done")
        async def twins() -> None:
            (await b2jobs.aio.upload("a", "b", priority="urgnt"))
            (await (await b2jobs.AsyncClient().copy("a", "b")).wait()).ulr
            (await b2jobs.aio.batch("a")).wate()
        """
    right = """\
        import b2jobs.aio
        def follow(job: b2jobs.Handle[b2jobs.TransferResult]) -> str:
            return job.wait(timeout=5).url
        follow(b2jobs.upload("a", "b", priority="high", key=None, info={"a": "b"}))
        anything: b2jobs.Handle = b2jobs.job("x")
        planned: int = b2jobs.batch("a", include=["*.png"], dry_run=True).wait().items
        compared: dict[str, int] = b2jobs.sync("a", "b").wait().compared
        async def followed() -> None:
            url: str = (await (await b2jobs.aio.share("a", 60)).wait()).url
            async for line in b2jobs.aio.batch_job("x").lines():
                print(line["name"], url)
        """
    said = mypy(tmp_path, textwrap.dedent(wrong) + textwrap.dedent(right))
    lines = [line.split(":")[1] for line in said.splitlines() if ": error:" in line]
    assert lines == [str(number) for number in (2, 3, 4, 5, 6, 7, 8, 10, 11, 12)], said


METHODS = (
    "upload",
    "download",
    "copy",
    "delete",
    "bucket",
    "share",
    "check",
    "sync",
    "batch",
    "du",
)
LS = "list"  # a builtin's name, which no function here takes


@pytest.mark.parametrize("kind", [*METHODS, "verify", LS])
def test_every_field_of_a_request_is_an_argument_or_an_option(kind: str) -> None:
    method = getattr(b2jobs.Client, "ls" if kind == LS else kind)
    given = inspect.get_annotations(method)["options"]
    typed = getattr(options, given.removeprefix("Unpack[").removesuffix("]"))
    named = set(inspect.signature(method).parameters) - {"self", "options", "report"}
    of_removals = set(options.RemovalOptions.__optional_keys__)
    elsewhere = (
        {"manifest", "target", "versions", "bypass_governance"} if kind == "batch" else set()
    )
    known = (
        set(typed.__required_keys__ | typed.__optional_keys__) | named | elsewhere
    )  # of `batch_delete`, or its first argument
    if kind == "delete":  # takes prefixes too, as a batch
        known -= of_removals - set(KINDS["delete"].given())
    assert known == set(KINDS[kind].given())


def public(kind: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and inspect.isfunction(value)
    }


@pytest.mark.parametrize(("kind", "twin"), TWINS)
def test_the_awaitable_twin_is_complete(kind: type, twin: type) -> None:
    ours, theirs = public(kind), public(twin)
    assert set(ours) == set(theirs)
    for name, method in theirs.items():
        awaited = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
        assert awaited == (name not in AT_ONCE), name
        assert parameters(method) == parameters(ours[name]), name


def parameters(method: Any) -> list[tuple[str, Any, Any, Any]]:
    return [
        # What only a coroutine can read is the twins' own.
        (
            each.name,
            each.kind,
            each.default,
            str(each.annotation).replace("AwaitedSource", "Handed"),
        )
        for each in inspect.signature(method).parameters.values()
    ]


def test_the_modules_functions_are_the_clients_and_twins_of_each_other() -> None:
    functions = {name for name in b2jobs.__all__ if inspect.isfunction(getattr(b2jobs, name))}
    assert set(b2jobs.aio.__all__) == functions
    for module, kind in ((b2jobs, b2jobs.Client), (b2jobs.aio, b2jobs.AsyncClient)):
        for name in b2jobs.aio.__all__:
            made, method = getattr(module, name), getattr(kind, name)
            assert parameters(made) == parameters(method)[1:]
            assert made.__doc__ == method.__doc__
            assert inspect.iscoroutinefunction(made) == inspect.iscoroutinefunction(method)


def test_no_module_takes_the_place_of_a_function() -> None:
    modules = {module.name for module in pkgutil.iter_modules(b2jobs.__path__)}
    assert modules & set(b2jobs.__all__) == set()


class NobodysExecutor(Executor):
    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise AssertionError("asyncio's default executor is the application's")


def test_the_twins_leave_asyncios_executor_alone(
    b2jobs_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def everything() -> set[str]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "_default_executor", NobodysExecutor())
        with pytest.raises(AssertionError):
            await asyncio.to_thread(print)
        aio = b2jobs.aio
        b2jobs_client.answer("share")
        job = await aio.upload("data:,x", "b2://some-bucket/x")
        b2jobs_client.jobs[0].succeed()
        await job.wait(1)
        await job.share(60)
        for call in (job.record, job.state, job.reason, job.progress, job.cancel, job.retry):
            await call()
        await aio.download("b2://some-bucket/x")
        await aio.copy("b2://some-bucket/x", "b2://some-bucket/y")
        await aio.delete("b2://some-bucket/x")
        await aio.bucket("list")
        await aio.check()
        await aio.sync("data://.my/x/", "b2://some-bucket/y/")
        await aio.batch("data://.my/list.csv")
        await aio.du("b2://some-bucket/")
        listing = await aio.ls("b2://some-bucket/")
        b2jobs_client.asked(LS)[0].succeed(lines=[{"name": "a"}])
        assert [line["name"] async for line in listing.lines(1)] == ["a"]
        return {record.kind for record in await aio.jobs()}

    assert asyncio.run(everything()) == {*METHODS, LS}


def test_jobs_are_listed_by_state_and_kind(b2jobs_client: RecordingClient) -> None:
    for number in range(3):
        b2jobs.upload("data:,x", f"b2://some-bucket/{number}")
        b2jobs.check()
    b2jobs_client.asked("upload")[0].succeed()

    assert [record.kind for record in b2jobs.jobs(limit=4)] == ["check", "upload"] * 2
    assert len(b2jobs.jobs(kind="upload")) == 3
    assert [record.state for record in b2jobs.jobs(state="succeeded")] == ["succeeded"]
    assert b2jobs.jobs(state="queued", kind="upload", limit=1)[0].request["destination"][-1] == "2"
    for wrong in ({"state": "done"}, {"kind": "upload!"}, {"limit": 0}):
        with pytest.raises(b2jobs.InvalidJob, match=next(iter(wrong))):
            b2jobs.jobs(**wrong)  # type: ignore[arg-type]  # that is the point


def test_only_a_job_that_left_a_file_is_shared(b2jobs_client: RecordingClient) -> None:
    b2jobs_client.answer("check")
    with pytest.raises(b2jobs.InvalidJob, match="left no file"):
        b2jobs.check().share()
