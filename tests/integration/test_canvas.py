"""Jobs in the canvases of an application: a worker of its own, its own queues, Celery's backend."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery import Celery, Signature, chain, chord, group
from celery.exceptions import ChordError, TaskRevokedError
from celery.result import AsyncResult
from kombu.transport import redis

import b2jobs
from b2jobs.words import Word, Words
from b2jobs_worker.celery import broker
from b2jobs_worker.celery.canvas import canvas_of
from b2jobs_worker.celery.telling import Teller
from b2jobs_worker.settings import Settings
from support.foreign_app import make_app
from support.installation import Installation
from support.waiting import eventually


class Application:
    """The application's side: its Celery, and what its tasks were called with."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.celery: Celery = make_app(installation.redis_url, installation.key_prefix)

    def upload(self, *, immutable: bool = True, key: str = "", **script: Any) -> Signature:
        info = {name: str(value) for name, value in script.items()}
        kwargs: dict[str, Any] = {
            "source": "data://r/x",
            "destination": "b2://some-bucket/x",
            "info": info,
        }
        kwargs |= {"key": key} if key else {}
        return self.celery.signature("b2jobs.upload", kwargs=kwargs, immutable=immutable)

    def task(self, which: str, /, *args: Any, **kwargs: Any) -> Signature:
        return self.celery.signature(f"theirs.{which}", args=args, kwargs=kwargs)

    def note(self, **kwargs: Any) -> tuple[str, Signature]:
        name = uuid.uuid4().hex
        return name, self.task("note", name=name, **kwargs)

    def calls(self, name: str) -> list[list[Any]]:
        key = f"{self.installation.key_prefix}theirs:calls"
        found = [json.loads(str(each)) for each in self.installation.redis.lrange(key, 0, -1)]
        return [given for called, *given in found if called == name]

    def called(self, name: str) -> list[Any]:
        """Wait for the call of *name*; its id, arguments and keyword arguments."""
        [call] = eventually(lambda: self.calls(name), what=self.installation.keys)
        return call


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Installation]:
    """Our worker and the application's, for all tests here."""
    installation = Installation(tmp_path_factory.mktemp("canvas"), redis_url)
    installation.start_celery("ours", slots=8)
    installation.start_celery("theirs", app="support.foreign_app", queue_names="celery,special")
    yield installation
    installation.close()


@pytest.fixture
def application(both: Installation) -> Iterator[Application]:
    made = Application(both)
    with made.celery:
        made.celery.set_current()
        yield made


def result_of(application: Application, job_id: str) -> Any:
    return application.installation.client.job(job_id).record().result


def test_link_calls_with_the_result(application: Application) -> None:
    name, callback = application.note(extra=1)
    other, fixed = application.note()
    fixed = fixed.clone(args=(5,)).set(immutable=True)
    sent = application.upload().apply_async(link=[callback, fixed])
    result = sent.get(timeout=120)
    _, args, kwargs = application.called(name)
    assert args == [result] == [result_of(application, sent.id)]
    assert kwargs == {"extra": 1}
    assert application.called(other)[1:] == [[5], {}]


def test_link_keeps_the_options_of_its_signature(application: Application) -> None:
    name, callback = application.note()
    callback = callback.set(queue="special", countdown=1, task_id=f"chosen-{name}")
    application.upload().apply_async(link=callback)
    assert application.called(name)[0] == f"chosen-{name}"


def test_an_attempt_that_is_repeated_calls_nothing_twice(application: Application) -> None:
    name, callback = application.note()
    application.upload(fail="busy", times=2, wait=0.1).apply_async(link=callback)
    application.called(name)
    later, last = application.note()
    application.upload().apply_async(link=last)
    application.called(later)
    assert len(application.calls(name)) == 1


@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_a_chain(application: Application, at: str) -> None:
    name, note = application.note()
    steps = {
        "first": [application.upload(), note],
        "middle": [application.task("place"), application.upload(), note],
        "last": [application.task("place"), note, application.upload()],
    }[at]
    sent = chain(*steps, app=application.celery).apply_async()
    result = sent.get(timeout=120)
    _, [given], _ = application.called(name)
    if at == "last":
        assert given == "data://r/made"
        assert result["file_id"]
    else:
        assert given == result
        assert given["file_id"]


def test_a_chain_hands_over_a_location(application: Application) -> None:
    copy = {"destination": "b2://some-bucket/y"}
    steps = [
        application.task("place"),
        application.celery.signature("b2jobs.upload", kwargs=copy),
    ]
    sent = chain(*steps, app=application.celery).apply_async()
    sent.get(timeout=120)
    assert application.installation.client.job(sent.id).record().request["source"] == (
        "data://r/made"
    )


def test_what_a_chain_hands_over_and_is_no_location_is_refused(application: Application) -> None:
    steps = [application.task("work", 2), application.upload(immutable=False)]
    sent = chain(*steps, app=application.celery).apply_async()
    with pytest.raises(b2jobs.JobFailed, match="immutable"):
        sent.get(timeout=120)


def test_nested_chains_and_a_group_in_a_chain(application: Application) -> None:
    first, one = application.note()
    second, two = application.note()
    inner = chain(application.upload(), application.upload(), app=application.celery)
    sent = chain(inner, group(one, two), app=application.celery).apply_async()
    results = sent.get(timeout=120)
    assert results[0] == results[1]
    assert application.called(first)[1] == application.called(second)[1] == [results[0]]


def test_a_failure_ends_the_chain_and_calls_the_errback(application: Application) -> None:
    name, note = application.note()
    failing = application.upload(end="asked")
    steps = chain(failing, note, application.upload(), app=application.celery)
    sent = steps.apply_async(link_error=application.task("errback"))
    with pytest.raises(b2jobs.JobFailed, match="asked"):
        sent.get(timeout=120)
    job_id = sent.parent.parent.id
    eventually(lambda: [job_id] in application.calls("errback"))
    assert sent.state == sent.parent.state == "FAILURE", "nobody waits for what will not run"
    assert application.calls(name) == []


def test_an_errback_is_called_for_what_is_refused(application: Application) -> None:
    bad = application.celery.signature("b2jobs.upload", kwargs={"typo": 1})
    sent = bad.apply_async(link_error=application.task("errback"))
    eventually(lambda: [sent.id] in application.calls("errback"))


def test_errbacks_of_both_styles_are_called_as_their_parameters_ask(
    application: Application,
) -> None:
    errbacks = [application.task("errback"), application.task("new_errback")]
    sent = application.upload(end="asked").apply_async(link_error=errbacks)
    with pytest.raises(b2jobs.JobFailed):
        sent.get(timeout=120)
    eventually(lambda: [sent.id] in application.calls("errback"))
    [[_, said]] = eventually(
        lambda: [each for each in application.calls("new_errback") if each[0] == sent.id]
    )
    assert "asked to fail [asked]" in said
    assert isinstance(sent.result, b2jobs.JobFailed), "what the errbacks needed has stored nothing"


def test_a_group(application: Application) -> None:
    sent = group(application.upload() for _ in range(5)).apply_async()
    results = sent.get(timeout=120)
    assert [each["job"] for each in results] == [child.id for child in sent]


def test_a_chord_of_ours_and_theirs(application: Application) -> None:
    name, body = application.note()
    header = [application.upload(sleep=0.5), application.task("work", 21), application.upload()]
    sent = chord(header, body, app=application.celery).apply_async()
    results = sent.get(timeout=120)
    assert [results[0]["job"], results[2]["job"]] == [sent.parent[0].id, sent.parent[2].id]
    assert results[1] == 42
    assert application.called(name)[1] == [results]
    assert application.called(name)[0] == sent.id


def test_a_chord_whose_body_is_ours(application: Application) -> None:
    header = [application.task("work", 1), application.upload()]
    sent = chord(header, application.upload(), app=application.celery).apply_async()
    assert sent.get(timeout=120)["job"] == sent.id


def test_a_chord_in_the_middle_of_a_chain(application: Application) -> None:
    name, last = application.note()
    middle = group(application.upload(), application.upload())
    steps = chain(application.upload(), middle, application.upload(), last, app=application.celery)
    result = steps.apply_async().get(timeout=120)
    assert application.called(name)[1] == [result]


# A word whose worker died when it had counted its part, told again when the last part had been
# counted and its body just sent, found all parts there and sent the body once more.
@pytest.mark.parametrize("shape", ["one", "group"])
def test_a_part_that_is_counted_again_sends_no_second_body(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    for transport in (redis.Transport, redis.SentinelTransport):
        monkeypatch.setattr(transport, "Channel", transport.Channel)
    broker.install(lambda raw, error: None)
    app = make_app(installation.redis_url, installation.key_prefix)
    note = app.signature("theirs.note").set(queue="bodies")
    body = note if shape == "one" else group(note.clone(), note.clone())
    upload = app.signature("b2jobs.upload", kwargs={}, immutable=True)
    chord([upload.clone(), upload.clone()], body, app=app).apply_async()
    ours, prefix = installation.redis, installation.key_prefix
    words = []
    for raw in ours.lrange(f"{prefix}b2jobs", 0, -1):
        message = json.loads(str(raw))
        embed = json.loads(base64.b64decode(message["body"]))[2]
        to = {"canvas": canvas_of(embed, message["headers"])}
        job = message["headers"]["id"]
        words.append(Word(f"w{len(words)}", job, "upload", "succeeded", to, {"job": job}))
        ours.hset(f"{prefix}b2jobs:word:w{len(words) - 1}", "job", job)
    settings = Settings(redis_url=installation.redis_url, key_prefix=prefix)

    again: list[Word] = []

    def tell(word: Word) -> None:
        teller = Teller(settings, installation.client.records)
        call = teller._call

        def sent(*arguments: Any, **named: Any) -> Any:
            answer = call(*arguments, **named)
            while again:  # who has sent the body dies: the parts are there, its claim ends
                ours.delete(*ours.keys(f"{prefix}celery-taskset-meta-*.c"))
                tell(again.pop())
            return answer

        teller._call = sent  # type: ignore[method-assign]
        teller.canvas(word)

    tell(words[0])
    again.append(words[0])
    tell(words[1])

    assert not again
    assert ours.llen(f"{prefix}bodies") == (1 if shape == "one" else 2)


@pytest.mark.parametrize("way", ["fails", "refused", "revoked", "theirs"])
def test_a_member_that_ends_badly_fails_the_chord(application: Application, way: str) -> None:
    bad = {
        "fails": application.upload(end="asked"),
        "refused": application.celery.signature("b2jobs.upload", kwargs={"typo": 1}),
        "revoked": application.upload(hold=1),
        "theirs": application.task("fail"),
    }[way]
    name, body = application.note()
    body = body.on_error(application.task("errback")).on_error(application.task("new_errback"))
    sent = chord([application.upload(), bad], body, app=application.celery).apply_async()
    if way == "revoked":
        revoked = sent.parent[1].id
        client = application.installation.client

        def cancelled() -> bool:
            with suppress(b2jobs.JobNotFound):
                return client.job(revoked).cancel() != ""
            return False

        eventually(cancelled)
    eventually(lambda: [sent.id] in application.calls("errback"))
    eventually(lambda: sent.id in {each[0] for each in application.calls("new_errback")})
    eventually(lambda: isinstance(sent.result, ChordError), what=lambda: sent.result)
    assert application.calls(name) == []


def test_what_is_revoked_is_revoked_to_whoever_waits(application: Application) -> None:
    name, note = application.note()
    sent = chain(application.upload(hold=1), note, app=application.celery).apply_async()
    eventually(lambda: known(application, sent.parent.id))
    sent.parent.revoke()
    with pytest.raises(TaskRevokedError):
        sent.parent.get(timeout=120)
    assert application.calls(name) == []


def known(application: Application, job_id: str) -> bool:
    with suppress(b2jobs.JobNotFound):
        return bool(application.installation.client.job(job_id).state())
    return False


def test_tasks_that_share_a_key_go_on_each_with_its_own_canvas(application: Application) -> None:
    key = uuid.uuid4().hex
    names = []
    for _ in range(3):
        name, callback = application.note()
        application.upload(key=key, sleep=0.3).apply_async(link=callback)
        names.append(name)
    first = application.called(names[0])[1]
    name, late = application.note()
    application.upload(key=key).apply_async(link=late)
    for each in [*names, name]:
        assert application.called(each)[1] == first


def test_what_cannot_be_is_refused_by_name(application: Application) -> None:
    stamped = application.upload()
    stamped.stamp(append_stamps=False, stamped_headers=["who"], who="me")
    replaced = application.upload().set(replaced_task_nesting=1)
    for bad, said in ((stamped, "stamp"), (replaced, "replace")):
        with pytest.raises(b2jobs.JobFailed, match=said) as caught:
            bad.apply_async(link_error=application.task("errback")).get(timeout=120)
        assert caught.value.code == "canvas_unsupported"


def test_nobody_listens_for_the_results_of_callbacks(application: Application) -> None:
    name, callback = application.note()
    task = "theirs.note"
    application.upload().apply_async(link=callback)
    task_id, *_ = application.called(name)
    client = application.installation.client
    client.upload("data://r/x", "b2://some-bucket/x", on_done=task).wait(120)
    channels = client.records.redis.pubsub_channels(f"*{task_id}*")
    assert channels == []


def test_shapes_that_celerys_own_tests_rely_on(application: Application) -> None:
    """As Celery's integration tests of canvas have them, with our jobs among the tasks: all sent
    at once, then what became of each."""
    app, up = application.celery, application.upload
    names = [application.note()[0] for _ in range(9)]
    note = [application.task("note", name=name) for name in names]
    upgraded = chain(group(note[0], up(), note[1]), group(up(), note[2]), group(up()),
                     group(note[3]), up(), note[4], app=app)  # fmt: skip
    given = app.signature("b2jobs.upload", kwargs={"destination": "b2://some-bucket/y"})
    into_group = chain(application.task("place"), group(chain(given, note[5], app=app)), app=app)
    nested = chord([chord([up(), up()], note[6]), chord([up()], up())], note[7], app=app)
    ladder = group([group([group([up()]) | up()]) | up()]) | note[8]
    chain_body = chord([up(), up()], chain(up(), up(), app=app), app=app)
    linked, late = uuid.uuid4().hex, time.time()
    links = [
        chain(up(), application.task("note", name=linked), app=app),
        group(up(), application.task("note", name=linked)),
        chord([up(), up()], application.task("note", name=linked), app=app),
    ]
    sent = {
        "upgraded": upgraded.apply_async(),
        "into_group": into_group.apply_async(),
        "nested": nested.apply_async(),
        "ladder": ladder.apply_async(),
        "chain_body": chain_body.apply_async(),
        "links": up().apply_async(link=links),
        "countdown": chain(up(), up().set(countdown=1), up(), app=app).apply_async(countdown=1),
        "positional": app.signature("b2jobs.upload").delay("data://r/x", "b2://some-bucket/x"),
        "args": (group(given.clone() for _ in range(2)) | up()).apply_async(args=("data://r/x",)),
        "options": up().apply_async(
            priority=9, queue="b2jobs.low", ignore_result=False, task_id=f"own-{linked}"
        ),
    }

    results = {name: each.get(timeout=120) for name, each in sent.items()}

    assert time.time() - late > 2
    assert [len(application.calls(name)) for name in names[:5]] == [1] * 5
    assert application.calls(names[5])[0][1] == [results["into_group"]]
    inner, body = results["nested"]
    assert [len(inner), body["kind"]] == [2, "upload"]
    assert [each["kind"] for each in results["ladder"]] == ["upload"]
    assert results["chain_body"]["job"] == sent["chain_body"].id
    assert results["options"]["job"] == f"own-{linked}"
    eventually(lambda: len(application.calls(linked)) == 3)


def test_results_know_their_parents_and_children(application: Application) -> None:
    name, linked = application.note()
    first, second = application.upload(), application.upload()
    first.link(linked)
    sent = chain(first, second, app=application.celery).apply_async()
    sent.get(timeout=120)
    called, *_ = application.called(name)

    parent = AsyncResult(sent.parent.id, app=application.celery)

    assert {child.id for child in parent.children} == {called, sent.id}
    eventually(lambda: AsyncResult(called, app=application.celery).ready())
    collected = {result.id for result, _ in parent.collect()}
    assert collected == {parent.id, called, sent.id}


@pytest.mark.parametrize("shape", ["group", "nested", "tail", "body"])
def test_errbacks_of_a_canvas_are_called_as_often_as_celerys_are(
    application: Application, shape: str
) -> None:
    app, up = application.celery, application.upload
    failing = up(end="asked")
    never, body = application.note()
    canvas, times = {
        "group": (group(failing, up(), failing.clone()), 2),
        "nested": (chord([up(), chord([up(), failing], body.clone(), app=app)], body, app=app), 1),
        "tail": (chord([chain(up(), failing, app=app), up()], body, app=app), 1),
        "body": (chord([up()], failing, app=app), 1),
    }[shape]
    name, errback = application.note()
    canvas.link_error(errback.set(immutable=True))
    sent = canvas.apply_async()
    with pytest.raises((b2jobs.JobFailed, ChordError)):
        sent.get(timeout=120)
    eventually(lambda: len(application.calls(name)) == times)
    words = Words(application.installation.client.records)
    eventually(lambda: not words.counts()["waiting"])
    assert len(application.calls(name)) == times
    assert application.calls(never) == []


def test_time_limits_that_nobody_keeps_are_refused(application: Application) -> None:
    with pytest.raises(b2jobs.JobFailed, match="time_limit") as caught:
        application.upload().apply_async(soft_time_limit=5).get(timeout=120)
    assert caught.value.code == "canvas_unsupported"


def test_arguments_without_names_that_do_not_fit_are_refused(application: Application) -> None:
    signature = application.celery.signature("b2jobs.upload")
    for args, kwargs in ((("data:,secret", "b", "c"), {}), (("x",), {"source": "data://r/y"})):
        with pytest.raises(b2jobs.JobFailed, match="other than source and destination") as caught:
            signature.apply_async(args=args, kwargs=kwargs).get(timeout=120)
        assert "secret" not in str(caught.value)
