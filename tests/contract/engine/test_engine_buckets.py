"""What a bucket carries: set, shown, kept from two writers, and done once by a job that died."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.results import BucketResult
from b2jobs_worker.attempt import DetachedAttempt, MemoryJournal
from b2jobs_worker.permits import permit
from b2jobs_worker.policy import Policy, Rules
from contract.engine.corner import Bench

SECRET = "0123456789abcdef0123456789ABCDEF"
OTHER = "Bearer not-for-everybody"
HOST = "hooks.example.com"
LIFECYCLE = [{"fileNamePrefix": "tmp/", "daysFromUploadingToHiding": 1}]
CORS = [
    {
        "corsRuleName": "browsers",
        "allowedOrigins": ["https://*.example.com"],
        "allowedOperations": ["b2_download_file_by_name"],
        "maxAgeSeconds": 3600,
    }
]


def told(host: str = HOST, signing: str = "secret:signing", **more: Any) -> dict[str, Any]:
    target = {"url": f"https://{host}/b2", "hmacSha256SigningSecret": signing, **more}
    return {
        "name": "uploads-told",
        "eventTypes": ["b2:ObjectCreated:Upload"],
        "targetConfiguration": target,
    }


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, and nothing handles it."""


@pytest.fixture
def made(bench: Bench, request: pytest.FixtureRequest) -> Iterator[str]:
    secrets = json.loads(bench.secrets.read_text())
    secrets.pop("customer_keys")
    document = {"accounts": {"default": secrets}, "notifications": {HOST: {"signing": SECRET}}}
    bench.secrets.write_text(json.dumps(document))
    name = "carries-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[5:55].lower()
    bench.run("bucket", bench.attempt("make"), action="create", name=name.strip("-"))
    yield name.strip("-")
    bench.run("bucket", bench.attempt("end"), action="delete", name=name.strip("-"))


def change(
    bench: Bench, name: str, attempt: DetachedAttempt | None = None, **settings: Any
) -> BucketResult:
    result = bench.run(
        "bucket", attempt or bench.attempt("change"), action="update", name=name, **settings
    )
    assert isinstance(result, BucketResult)
    return result


def shown(bench: Bench, name: str) -> dict[str, Any]:
    [bucket] = bench.run("bucket", bench.attempt("show"), action="show", name=name).buckets
    return bucket  # type: ignore[no-any-return]


def test_all_of_it_is_set_shown_and_can_be_given_back(bench: Bench, made: str) -> None:
    settings: dict[str, Any] = {
        "type": "allPublic",
        "lifecycle": LIFECYCLE,
        "encryption": "SSE-B2",
        "lock": True,
        "retention": "governance:30d",
        "cors": CORS,
        "notifications": [told()],
        "info": {"cache-control": "max-age=60"},
    }
    assert change(bench, made, **settings).status == "updated"
    found = shown(bench, made)
    assert {name: found[name] for name in ("type", "encryption", "lock", "retention", "info")} == {
        name: settings[name] for name in ("type", "encryption", "lock", "retention", "info")
    }
    assert found["notifications"][0]["targetConfiguration"]["hmacSha256SigningSecret"] == (
        "secret:signing"
    )
    assert "unreadable" not in found
    again = {name: found[name] for name in settings}
    revision = found["revision"]
    assert change(bench, made, **again).status == "unchanged"
    emptied = {"lifecycle": [], "cors": [], "notifications": [], "retention": "none", "info": {}}
    assert change(bench, made, encryption="none", **emptied).status == "updated"
    found = shown(bench, made)
    assert {name: found[name] for name in emptied} == emptied
    assert found["revision"] == revision + 1


def test_a_bucket_is_made_with_all_it_carries(bench: Bench, made: str) -> None:
    settings: dict[str, Any] = {
        "lock": True,
        "retention": "compliance:1y",
        "encryption": "SSE-B2",
        "lifecycle": LIFECYCLE,
        "notifications": [told()],
    }
    target = shown(bench, made)["id"]
    other = "made-with-everything"
    replication = {
        "asReplicationSource": {
            "replicationRules": [{"replicationRuleName": "copies", "destinationBucketId": target}],
            "sourceApplicationKeyId": "10053d55ae26b790000000006",
        }
    }
    try:
        first = bench.run("bucket", action="create", name=other, **settings)
        assert first.status == "created"
        found = shown(bench, other)
        assert (found["retention"], found["encryption"]) == ("compliance:1y", "SSE-B2")
        assert len(found["notifications"]) == 1
        again = bench.run("bucket", bench.attempt("2"), action="create", name=other, **settings)
        assert again.status == "unchanged"
        differing = {**settings, "retention": "governance:1d"}
        with pytest.raises(CallerError, match="another retention") as caught:
            bench.run("bucket", bench.attempt("3"), action="create", name=other, **differing)
        assert caught.value.code == "bucket_name_taken"
        assert shown(bench, other)["retention"] == "compliance:1y"
    finally:
        bench.run("bucket", bench.attempt("4"), action="delete", name=other)
    assert change(bench, made, replication=replication).status == "updated"
    assert change(bench, made, bench.attempt("5"), replication=replication).status == "unchanged"
    assert change(bench, made, replication={}).status == "updated"
    assert shown(bench, made)["replication"] == {}


def test_of_two_writers_that_name_a_revision_the_second_is_refused(bench: Bench, made: str) -> None:
    revision = shown(bench, made)["revision"]
    assert change(bench, made, if_revision=revision, lifecycle=LIFECYCLE).status == "updated"
    with pytest.raises(CallerError, match=f"not {revision}") as caught:
        change(bench, made, bench.attempt("second"), if_revision=revision, lifecycle=[])
    assert (caught.value.code, caught.value.wait) == ("conflict", None)
    # Notification rules are not part of B2's revision: naming one still keeps a second out.
    now = shown(bench, made)["revision"]
    change(bench, made, bench.attempt("third"), if_revision=now, notifications=[told()])
    with pytest.raises(CallerError):
        change(bench, made, bench.attempt("fourth"), if_revision=now, notifications=[])
    assert len(shown(bench, made)["notifications"]) == 1


def test_a_change_in_between_is_kept(bench: Bench, made: str, monkeypatch: Any) -> None:
    """Without a revision the job looks again: it changes what it names, on top of the other."""
    client = bench.context.client("default", bench.attempt())
    update = type(client).update_bucket
    between = [lambda: change(bench, made, bench.attempt("other"), cors=CORS)]

    def beaten(self: Any, *args: Any, **named: Any) -> Any:
        if between:
            between.pop()()
        return update(self, *args, **named)

    monkeypatch.setattr(type(client), "update_bucket", beaten)
    assert change(bench, made, lifecycle=LIFECYCLE).status == "updated"
    found = shown(bench, made)
    assert found["lifecycle"][0]["fileNamePrefix"] == "tmp/"
    assert found["cors"][0]["corsRuleName"] == "browsers"


@pytest.mark.parametrize("last", ["update_bucket", "set_notification_rules"])
def test_killed_after_a_call_the_next_attempt_changes_nothing_twice(
    bench: Bench, made: str, monkeypatch: Any, last: str
) -> None:
    client = type(bench.context.client("default", bench.attempt()))
    act = getattr(client, last)

    def dies(*args: Any, **named: Any) -> Any:
        act(*args, **named)
        raise Killed

    revision = shown(bench, made)["revision"]
    settings: dict[str, Any] = {"lifecycle": LIFECYCLE, "notifications": [told()]}
    journal = MemoryJournal()
    with monkeypatch.context() as patch:
        patch.setattr(client, last, dies)
        with pytest.raises(Killed):
            change(bench, made, bench.attempt(journal=journal), if_revision=revision, **settings)
    second = bench.attempt(number=2, journal=journal)
    result = change(bench, made, second, if_revision=revision, **settings)
    assert result.status == "updated"
    found = shown(bench, made)
    assert found["revision"] == revision + 1
    assert len(found["notifications"]) == 1


def test_killed_while_it_makes_one_the_next_attempt_completes_it(
    bench: Bench, made: str, monkeypatch: Any
) -> None:
    del made  # its fixture writes the secrets
    client = type(bench.context.client("default", bench.attempt()))
    create = client.create_bucket

    def dies(*args: Any, **named: Any) -> Any:
        create(*args, **named)
        raise Killed

    journal, name = MemoryJournal(), "made-in-two-attempts"
    arguments: dict[str, Any] = {"lock": True, "retention": "governance:2d"}
    arguments |= {"action": "create", "name": name, "notifications": [told()]}
    with monkeypatch.context() as patch:
        patch.setattr(client, "create_bucket", dies)
        with pytest.raises(Killed):
            bench.run("bucket", bench.attempt(journal=journal), **arguments)
    try:
        result = bench.run("bucket", bench.attempt(number=2, journal=journal), **arguments)
        assert result.status == "created"
        found = shown(bench, name)
        assert found["retention"] == "governance:2d"
        assert len(found["notifications"]) == 1
    finally:
        bench.run("bucket", bench.attempt("end"), action="delete", name=name)


def test_an_answer_that_is_lost_is_looked_for(bench: Bench, made: str) -> None:
    revision = shown(bench, made)["revision"]
    bench.admin.fault("service_unavailable", calls="b2_update_bucket", next=1, after_call=True)
    assert change(bench, made, if_revision=revision, lifecycle=LIFECYCLE).status == "updated"
    assert shown(bench, made)["revision"] == revision + 1


def test_secrets_go_to_their_host_alone_and_are_shown_by_name(bench: Bench, made: str) -> None:
    header = [{"name": "Authorization", "value": OTHER}]
    client = bench.context.client("default", bench.attempt())
    foreign = {
        **told(signing=SECRET, customHeaders=header, targetType="webhook"),
        "isEnabled": True,
        "objectNamePrefix": "",
    }
    client.set_notification_rules(client.bucket(made), [foreign])
    result = bench.run("bucket", bench.attempt("show"), action="show", name=made)
    assert SECRET not in json.dumps(result.as_json())
    assert OTHER not in json.dumps(result.as_json())
    [rule] = result.buckets[0]["notifications"]
    assert rule["targetConfiguration"]["customHeaders"][0]["value"] == "***"
    # Given back with a change, what is not known here stays what it was.
    changed = {**rule, "eventTypes": ["b2:ObjectCreated:*"]}
    assert change(bench, made, notifications=[changed]).status == "updated"
    [there] = client.notification_rules(client.bucket(made))
    assert there["targetConfiguration"]["customHeaders"][0]["value"] == OTHER
    assert there["targetConfiguration"]["hmacSha256SigningSecret"] == SECRET
    # Neither a name nor *** takes a secret to another host.
    for signing in ("secret:signing", "***"):
        rules = [told("evil.example.net", signing)]
        with pytest.raises(CallerError) as caught:
            change(bench, made, bench.attempt(signing), notifications=rules)
        assert caught.value.code == "secret_unknown"
    assert client.notification_rules(client.bucket(made)) == [there]


def test_the_policy_speaks_of_where_rules_send_to(bench: Bench, made: str) -> None:
    rules = Rules(write=(f"b2://{made}/",), read=(f"b2://{made}/",), on_done=(f"https://{HOST}/",))
    settings = bench.context.settings.model_copy(update={"policy": Policy(worker=rules)})

    def refused(**arguments: Any) -> str:
        attempt = bench.attempt("permitted")
        attempt.permit = permit(settings, "", "normal")
        with pytest.raises(CallerError) as caught:
            change(bench, made, attempt, **arguments)
        return caught.value.message

    assert "evil.example.net" in refused(notifications=[told("evil.example.net")])
    own = bench.context.client("default", bench.attempt())
    target = own.bucket("engine-bucket").bucket_id
    source = {
        "replicationRules": [{"replicationRuleName": "away", "destinationBucketId": target}],
        "sourceApplicationKeyId": "10053d55ae26b790000000006",
    }
    assert "b2://engine-bucket/" in refused(replication={"asReplicationSource": source})
    source["replicationRules"][0]["destinationBucketId"] = "of-another-account"  # type: ignore[index]
    assert "b2://of-another-account/" in refused(replication={"asReplicationSource": source})
    allowed = bench.attempt("allowed")
    allowed.permit = permit(settings, "", "normal")
    assert change(bench, made, allowed, notifications=[told()]).status == "updated"


def test_a_key_that_may_not_read_a_setting_says_so(bench: Bench, made: str) -> None:
    capabilities = ["listBuckets", "readBuckets"]
    account = bench.context.client("default", bench.attempt()).account()
    key = account.session.create_key(
        account.session.info.get_account_id(), capabilities, "narrow", None, None, None
    )
    secrets = json.loads(bench.secrets.read_text())
    secrets["accounts"]["narrow"] = {
        **secrets["accounts"]["default"],
        "key_id": key["applicationKeyId"],
        "application_key": key["applicationKey"],
    }
    bench.secrets.write_text(json.dumps(secrets))
    [found] = bench.run("bucket", action="show", name=made, account="narrow").buckets
    assert found["unreadable"] == [
        *("encryption", "lock", "retention", "replication", "notifications"),
    ]
    assert found["lifecycle"] == []


def test_retention_needs_the_lock(bench: Bench, made: str) -> None:
    with pytest.raises(CallerError, match="no Object Lock"):
        change(bench, made, retention="governance:1d", type="public")
    assert shown(bench, made)["type"] == "allPrivate"
