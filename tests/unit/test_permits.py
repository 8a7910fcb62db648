"""What the policy says of kinds, keys and places, without a worker."""

from __future__ import annotations

import re
from typing import Any

import pytest

from b2jobs.errors import CallerError
from b2jobs.requests import KINDS, build
from b2jobs_worker import permits
from b2jobs_worker.permits import permit
from b2jobs_worker.policy import Policy, Rules
from b2jobs_worker.settings import Settings

ENDS = {"source": "b2://shop-files/a", "destination": "b2://shop-files/b"}
TARGET = {"target": "b2://shop-files/a"}


def allowed(kind: str, *, is_item: bool = False, rules: dict[str, Any], **arguments: Any) -> bool:
    settings = Settings(policy=Policy(worker=Rules(**rules)))
    try:
        permit(settings, "", "normal").request(build(kind, arguments), is_item=is_item)
    except CallerError as error:
        return error.code != "policy_refused"
    return True


def test_what_a_sync_hides_is_the_sync_s() -> None:
    """Who may sync may not hide by hand, nor the other way round."""
    syncs, hides = {"kinds": ("sync",)}, {"kinds": ("hide",)}
    assert allowed("hide", rules=syncs, is_item=True, **TARGET)
    assert not allowed("hide", rules=syncs, **TARGET)
    assert allowed("hide", rules=hides, **TARGET)


@pytest.mark.parametrize("kind", ["hide", "unhide", "retention", "hold", "delete"])
def test_what_changes_a_file_writes_there(kind: str) -> None:
    arguments = {**TARGET, **({"retention": "none"} if kind == "retention" else {})}
    assert allowed(kind, rules={"write": ("b2://shop-files/",)}, **arguments)
    assert not allowed(kind, rules={"write": ("b2://shop-files/in/",)}, **arguments)
    assert not allowed(kind, rules={"kinds": ("upload",)}, **arguments)


def test_a_move_writes_at_both_ends() -> None:
    assert allowed("copy", rules={"write": ("b2://shop-files/b",)}, **ENDS)
    assert not allowed("move", rules={"write": ("b2://shop-files/b",)}, **ENDS)
    assert not allowed("move", rules={"read": ("b2://shop-files/b",)}, **ENDS)
    assert allowed("move", rules={"write": ("b2://shop-files/",)}, **ENDS)
    assert not allowed("move", rules={"kinds": ("copy", "delete")}, **ENDS)


def test_deleting_a_prefix_is_deleting_though_it_is_a_batch() -> None:
    prefix = {"target": "b2://shop-files/in/", "versions": "all"}
    assert allowed("batch", rules={"kinds": ("upload", "delete")}, **prefix)
    assert not allowed("batch", rules={"kinds": ("upload", "batch")}, **prefix)
    sides = {"source": "data://.my/", "destination": "b2://shop-files/"}
    assert not allowed("batch", rules={"kinds": ("upload", "delete")}, **sides)
    assert allowed("batch", rules={"kinds": ("upload", "batch")}, **sides)


def test_a_pack_is_allowed_to_who_may_have_what_makes_packs() -> None:
    for maker in ("batch", "sync", "delete"):
        assert allowed("pack", rules={"kinds": (maker,)}, batch="1", number=1)
    assert not allowed("pack", rules={"kinds": ("upload",)}, batch="1", number=1)


@pytest.mark.parametrize("named", [{"customer_key": "k2"}, {"encryption": "SSE-C:k2"}])
def test_keys_of_customers_are_allowed_by_name(named: dict[str, str]) -> None:
    assert allowed("copy", rules={"customer_keys": ("k1", "k2")}, **ENDS, **named)
    assert not allowed("copy", rules={"customer_keys": ("k1",)}, **ENDS, **named)
    assert allowed("copy", rules={"customer_keys": ()}, **ENDS, encryption="SSE-B2")


PLACES = re.compile(r"(source|destination|target|manifest|prefix|ledger|.*(uri|url|location))\Z")


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_looks_at_every_place_that_a_request_names(kind: str) -> None:
    # A field that nobody asks the policy about would be a way around it.
    named = {name for name in KINDS[kind].model_fields if PLACES.match(name)}
    assert named <= {*permits._READ, *permits._WRITTEN}
