"""Event notification rules of a bucket: stored and shown. Nothing is ever sent."""

from __future__ import annotations

from b2emulator.calls.call import Call, Json, b2_call
from b2emulator.errors import bad_request


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
    for rule in given:
        if not rule.get("eventTypes"):
            raise bad_request("a rule needs event types", "event_types_empty")
        for field in ("name", "targetConfiguration", "isEnabled", "objectNamePrefix"):
            if field not in rule:
                raise bad_request(f"a rule needs {field}")
    rules = [{"isSuspended": False, "suspensionReason": "", **rule} for rule in given]
    changed = call.emulator.buckets.change(bucket, counts=False, notification_rules=rules)
    return {"bucketId": changed.id, "eventNotificationRules": changed.notification_rules}
