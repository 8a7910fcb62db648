"""Event notification rules of a bucket: stored and shown. Nothing is ever sent."""

from __future__ import annotations

from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.calls.params import is_integer
from b2emulator.calls.rules import MAX_RULES, known_fields, text, texts
from b2emulator.errors import bad_request

EVENTS = {
    "b2:ObjectCreated": ("*", "Upload", "MultipartUpload", "Copy", "Replica", "MultipartReplica"),
    "b2:ObjectDeleted": ("*", "Delete", "LifecycleRule"),
    "b2:HideMarkerCreated": ("*", "Hide", "LifecycleRule"),
}
"""By category. `*` is all of one, so nothing else may stand beside it."""
MAX_EVENTS_PER_BATCH = 50
RULE_FIELDS = frozenset(
    {
        *("name", "eventTypes", "isEnabled", "isSuspended", "suspensionReason"),
        *("objectNamePrefix", "maxEventsPerBatch", "targetConfiguration"),
    }
)
TARGET_FIELDS = frozenset({"targetType", "url", "customHeaders", "hmacSha256SigningSecret"})


@b2_call
def b2_get_bucket_notification_rules(call: Call) -> Json:
    bucket = call.bucket("readBucketNotifications")
    return {"bucketId": bucket.id, "eventNotificationRules": bucket.notification_rules}


@b2_call
def b2_set_bucket_notification_rules(call: Call) -> Json:
    """Replace all the rules. The bucket's revision stays, as these are not part of it."""
    bucket = call.bucket("writeBucketNotifications")
    given = call.params.objects("eventNotificationRules")
    if given is None:
        raise bad_request("required field eventNotificationRules is missing")
    if len(given) > MAX_RULES:
        raise bad_request(f"at most {MAX_RULES} notification rules")
    rules = [_checked(rule) for rule in given]
    if len({rule["name"] for rule in rules}) < len(rules):
        raise bad_request("notification rules must have different names")
    changed = call.emulator.buckets.change(bucket, counts=False, notification_rules=rules)
    return {"bucketId": changed.id, "eventNotificationRules": changed.notification_rules}


def _checked(rule: Json) -> Json:
    """A rule with every field B2 shows."""
    where = "a notification rule"
    known_fields(rule, RULE_FIELDS, where)
    _check_events(texts(rule, "eventTypes", where) if "eventTypes" in rule else [])
    for field in ("name", "objectNamePrefix"):
        text(rule, field, where)
    if not isinstance(rule.get("isEnabled"), bool):
        raise bad_request(f"{where} needs isEnabled: true or false")
    target = rule.get("targetConfiguration")
    if not isinstance(target, dict):
        raise bad_request(f"{where} needs targetConfiguration")
    known_fields(target, TARGET_FIELDS, "targetConfiguration")
    if target.get("targetType") != "webhook":
        raise bad_request("targetType is webhook")
    if not text(target, "url", "targetConfiguration").startswith("https://"):
        raise bad_request("the url of a webhook begins with https://")
    secret, headers = target.get("hmacSha256SigningSecret"), target.get("customHeaders")
    if secret is not None:
        text(target, "hmacSha256SigningSecret", "targetConfiguration")
    if headers is not None:
        if not isinstance(headers, list):
            raise bad_request("customHeaders must be a list")
        for header in headers:
            if not isinstance(header, dict):
                raise bad_request("a custom header has name and value")
            known_fields(header, {"name", "value"}, "a custom header")
            for field in ("name", "value"):
                text(header, field, "a custom header")
    most = rule.get("maxEventsPerBatch")
    if most is not None and not is_integer(most, 1, MAX_EVENTS_PER_BATCH):
        raise bad_request(f"maxEventsPerBatch is a number from 1 to {MAX_EVENTS_PER_BATCH}")
    return {
        "eventTypes": rule["eventTypes"],
        "isEnabled": rule["isEnabled"],
        "isSuspended": False,
        **({"maxEventsPerBatch": most} if most is not None else {}),
        "name": rule["name"],
        "objectNamePrefix": rule["objectNamePrefix"],
        "suspensionReason": "",
        "targetConfiguration": {
            "customHeaders": headers,
            "hmacSha256SigningSecret": secret,
            "targetType": "webhook",
            "url": target["url"],
        },
    }


def _check_events(types: list[str]) -> None:
    if not types:
        raise bad_request("a rule needs event types", "event_types_empty")
    for event in types:
        category, _, kind = event.rpartition(":")
        if kind not in EVENTS.get(category, ()):
            raise bad_request(f"Invalid event type: {event!r}", "event_type_invalid")
    categories = {event.rpartition(":")[0] for event in types}
    if len(categories) > 1:
        raise bad_request("a rule has events of one category", "event_type_categories")
    if len(set(types)) < len(types) or (len(types) > 1 and any(t.endswith(":*") for t in types)):
        raise bad_request("the event types of a rule overlap", "event_type_overlap")
