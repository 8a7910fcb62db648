"""What a bucket can carry is checked by B2's rules before anything is queued."""

from __future__ import annotations

from typing import Any

import pytest

from b2jobs.errors import InvalidJob
from b2jobs.requests import Bucket, kinds

CORS = {
    "corsRuleName": "browsers",
    "allowedOrigins": ["https://*.example.com"],
    "allowedOperations": ["b2_download_file_by_name"],
    "maxAgeSeconds": 3600,
}
SOURCE = {
    "replicationRules": [
        {"replicationRuleName": "to-europe", "destinationBucketId": "c5f35d53a90a7ea284fb0719"}
    ],
    "sourceApplicationKeyId": "10053d55ae26b790000000006",
}
RULE = {
    "name": "uploads-told",
    "eventTypes": ["b2:ObjectCreated:Upload"],
    "targetConfiguration": {"targetType": "webhook", "url": "https://hooks.example.com/b2"},
}
APPLICATION_KEY = "K005aBcDeFgHiJkLmNoPqRsTuVwXyZ0"
SECRET = "0123456789abcdef0123456789ABCDEF"


def update(**settings: Any) -> Bucket:
    request = kinds.build("bucket", {"action": "update", "name": "some-bucket", **settings})
    assert isinstance(request, Bucket)
    return request


def target(**more: Any) -> dict[str, Any]:
    return {**RULE, "targetConfiguration": {**RULE["targetConfiguration"], **more}}  # type: ignore[dict-item]


def test_settings_are_completed_as_b2_shows_them_and_survive_the_wire() -> None:
    request = update(
        type="public",
        lifecycle=[{"fileNamePrefix": "", "daysFromHidingToDeleting": 7}],
        encryption="SSE-B2",
        lock=True,
        retention="governance:30d",
        cors=[CORS],
        replication={"asReplicationSource": SOURCE},
        notifications=[target(hmacSha256SigningSecret="secret:signing")],
        info={"cache-control": "max-age=3600"},
        if_revision=4,
    )
    assert request.replication is not None
    [rule] = request.replication["asReplicationSource"]["replicationRules"]
    assert (rule["isEnabled"], rule["priority"], rule["fileNamePrefix"]) == (True, 128, "")
    assert kinds.build("bucket", request.arguments()) == request


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ({"lifecycle": [{"fileNamePrefix": "a/"}]}, "lifecycle.0", "needs a number of days"),
        (
            {"lifecycle": [{"fileNamePrefix": "a", "daysFromHidingToDeleting": 0}]},
            "lifecycle.0.daysFromHidingToDeleting",
            "(0)",
        ),
        (
            {
                "lifecycle": [
                    {"fileNamePrefix": p, "daysFromHidingToDeleting": 1} for p in ("a", "ab")
                ]
            },
            "lifecycle",
            "'a' and 'ab'",
        ),
        ({"lifecycle": [{"prefix": "a/"}]}, "lifecycle.0", "fileNamePrefix"),
        ({"lifecycle": {}}, "lifecycle", "list of rules"),
        ({"cors": [{**CORS, "corsRuleName": "b2-taken"}]}, "cors.0.corsRuleName", "b2-taken"),
        ({"cors": [{**CORS, "allowedOrigins": ["ftp://x"]}]}, "cors.0.allowedOrigins", "ftp://x"),
        ({"cors": [{**CORS, "allowedOperations": []}]}, "cors.0.allowedOperations", ""),
        ({"cors": [{**CORS, "maxAgeSeconds": 86_401}]}, "cors.0.maxAgeSeconds", "86401"),
        ({"cors": [{**CORS, "allowedHeaders": ["x" * 1000]}]}, "cors.0", "less than 1,000"),
        ({"cors": [CORS, CORS]}, "cors", "twice"),
        ({"retention": "governance"}, "retention", "governance:30d"),
        ({"retention": "compliance:9y"}, "retention", "3,000 days"),
        ({"encryption": "SSE-C"}, "encryption", "SSE-C"),
        ({"lock": False}, "lock", "cannot be switched off"),
        (
            {"replication": {"asReplicationSource": {}}},
            "replication.asReplicationSource",
            "missing",
        ),
        (
            {"replication": {"asReplicationSource": {**SOURCE, "replicationRules": [{"x": 1}]}}},
            "replication.asReplicationSource.replicationRules.0",
            "",
        ),
        ({"notifications": [{**RULE, "name": "short"}]}, "notifications.0.name", "short"),
        ({"notifications": [{**RULE, "eventTypes": ["b2:X"]}]}, "notifications.0", "b2:X"),
        ({"notifications": [target(url="http://x/")]}, "notifications.0", "https://HOST"),
        ({"notifications": [RULE, {**RULE, "name": "another"}]}, "notifications", "overlap"),
        ({"notifications": [{**RULE, "maxEventsPerBatch": 51}]}, "notifications.0.max", "51"),
        ({"info": {"b2-x": "1"}}, "info", "b2-x"),
        ({"if_revision": 3}, "", "needs a setting"),
    ],
)
def test_nonsense_is_refused_by_its_field_and_value(
    settings: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidJob) as caught:
        update(**settings)
    assert caught.value.field.startswith(field)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {"notifications": [target(hmacSha256SigningSecret=SECRET)]},
        {"notifications": [target(customHeaders=[{"name": "Authorization", "value": SECRET}])]},
        {"notifications": [target(url=f"https://me:{SECRET}@hooks.example.com/")]},
        {"notifications": [target(hmac=SECRET)]},
        {"notifications": SECRET},
        {"notifications": {"hmacSha256SigningSecret": SECRET}},
        {
            "replication": {
                "asReplicationSource": {**SOURCE, "sourceApplicationKeyId": APPLICATION_KEY}
            }
        },
        {
            "replication": {
                "asReplicationDestination": {
                    "sourceToDestinationKeyMapping": {"10053d55ae26b79": APPLICATION_KEY}
                }
            }
        },
        {
            "replication": {
                "asReplicationDestination": {
                    "sourceToDestinationKeyMapping": {APPLICATION_KEY: "10053d55ae26b79"}
                }
            }
        },
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob) as caught:
        update(**settings)
    said = f"{caught.value.message} {caught.value.hint} {caught.value.field}"
    assert SECRET not in said
    assert APPLICATION_KEY not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "show"}, "name is needed"),
        ({"action": "show", "name": "some-bucket", "lock": True}, "go with create and update"),
        ({"action": "delete", "name": "some-bucket", "notifications": []}, "go with create"),
        ({"action": "create", "name": "some-bucket", "if_revision": 2}, "goes with update"),
        ({"action": "create", "name": "some-bucket", "retention": "governance:1d"}, "needs lock"),
        (
            {
                "action": "create",
                "name": "some-bucket",
                "notifications": [target(hmacSha256SigningSecret="***")],
            },
            "no secret",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        kinds.build("bucket", arguments)
