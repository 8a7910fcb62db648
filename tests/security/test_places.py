"""Each thing that workers leave for workers, as its reader finds it: sealed there by a worker, or
not believed. A producer's key seals none of them, and a seal of elsewhere is none here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from b2jobs import keyfile
from b2jobs.errors import CallerError
from b2jobs.items import Item
from b2jobs.keyfile import WORKERS
from b2jobs.ledger import packed_line, packed_rows
from b2jobs.records import Records
from b2jobs.signed import SealRefused
from b2jobs.signing import Ring
from b2jobs_worker.batch.ledger.feed import Feed
from b2jobs_worker.batch.ledger.store import Store
from b2jobs_worker.delivery.claims import Claims
from b2jobs_worker.delivery.outbox import NotTold, Outbox
from b2jobs_worker.settings import Settings
from b2jobs_worker.sync.spool import Spool
from support.installation import Installation

ITEM = Item("upload", "data://.my/a", "b2://some-bucket/a").packed()
ROWS = packed_rows([["default", None, 60.0], [0, 0, ITEM]])
OUTCOME = packed_line(["transferred", 1, "0" * 40, "4_z"])


@dataclass
class Place:
    """Where something lies: its key, its field in a hash, what it is sealed as, and its reader."""

    what: str
    sealed_as: tuple[object, ...]
    content: str | bytes
    put: Callable[[Any], object]
    read: Callable[[], object]


@dataclass
class Site:
    records: Records
    producer: Ring
    told: list[str]
    places: dict[str, Place]


def outbox_word(site: Site, settings: Settings, result: dict[str, Any]) -> Callable[[Any], object]:
    outbox = Outbox(settings, {})
    outbox._records = site.records

    def tell(to: str) -> object:
        fields = {"to": to, "job": "j", "state": "succeeded", "result": json.dumps(result)}
        return outbox._admit(fields) or True

    return tell


@pytest.fixture
def site(installation: Installation, tmp_path: Path) -> Site:
    shop = keyfile.new_key("shop")
    keyfile.write(tmp_path / "keys.json", [keyfile.new_key(WORKERS), shop])
    keyfile.write(tmp_path / "shop.json", [shop])
    ring, prefix = Ring(tmp_path / "keys.json", required=True), installation.key_prefix
    told: list[str] = []
    ring.told = told.append
    records = Records(installation.redis_url, prefix, ring=ring)
    settings = Settings(redis_url=installation.redis_url, key_prefix=prefix)
    redis, claims, store = records.redis, Claims(records, settings), Store(records, 60)
    attempt = cast("Any", SimpleNamespace(job_id="j", checkpoint=lambda: None))
    spool, feed = Spool(store, attempt), Feed(records, "j", "shop")
    key = f"{prefix}b2jobs:".__add__
    site = Site(records, Ring(tmp_path / "shop.json"), told, {})
    word = outbox_word(site, settings, ring.seal_result({"job": "j", "size": 1}, "shop"))
    text = "x"

    def field(name: str, at: str) -> Callable[[Any], object]:
        return lambda sealed: redis.hset(key(name), at, sealed)

    def pack(sealed: Any) -> None:
        redis.set(key("pack:j.p000000"), ring.seal(ROWS, "pack", "j.p000000"))
        redis.hset(key("outcomes:j.p000000"), "0", sealed)

    for place in (
        Place("journal", ("j", "large"), text, field("journal:j", "large"),
              lambda: claims.read_journal("j")),
        Place("stray", ("j",), text, lambda sealed: redis.sadd(key("strays:j"), sealed),
              lambda: claims.strays("j")),
        Place("pack", ("j.p000000",), ROWS, lambda sealed: redis.set(key("pack:j.p000000"), sealed),
              lambda: store.open_pack(attempt, "j.p000000")),
        Place("outcome", ("j.p000000", "0"), OUTCOME, pack,
              lambda: store.open_pack(attempt, "j.p000000").outcomes),  # type: ignore[union-attr]  # it is there
        Place("segment", ("j", 0), b"x", field("batch:j:ledger", "0"),
              lambda: store.segment("j", 0)),
        Place("sync-plan", ("j", 0), packed_rows([ITEM]),
              lambda sealed: redis.rpush(key("sync-plan:j"), sealed),
              lambda: list(spool.read(0, 1))),
        Place("feed", ("j", 0), packed_rows([ITEM]), field("batch:j:feed", "0"),
              lambda: feed.look(0).rows),
        Place("word", ("j",), '{"task": "t"}', lambda sealed: setattr(site, "word", sealed),
              lambda: word(site.word)),  # type: ignore[attr-defined]  # set above
        *(Place("batch", ("j", name), text, field("batch:j", name),
                lambda name=name: {n: v for n, v in store.batch_state("j").items() if n == name})  # type: ignore[misc]  # a default binds it
          for name in ("cursor", "sync", "planned_all", "spill:0")),
    ):  # fmt: skip
        site.places[f"{place.what} {place.sealed_as[-1]}"] = place
    return site


def read(place: Place) -> object:
    """What its reader believes; nothing where it refuses."""
    try:
        return place.read()
    except (SealRefused, CallerError, NotTold):
        return None


def test_each_thing_is_believed_in_its_place_alone(site: Site) -> None:
    ring, clear = site.records.ring, site.records.redis
    assert len(site.places) == 12
    for name, place in site.places.items():
        prefix = site.records.prefix
        clear.delete(*(clear.keys(f"{prefix}*") or ["x"]))
        place.put(ring.seal(place.content, place.what, *place.sealed_as))
        assert read(place), name
        elsewhere = (*place.sealed_as[:-1], f"{place.sealed_as[-1]}0")
        wrong: dict[str, str | bytes] = {
            "no seal": place.content,
            "of elsewhere": ring.seal(place.content, place.what, *elsewhere),
            "of something else": ring.seal(place.content, "other", *place.sealed_as),
            "of a producer": site.producer.seal(place.content, place.what, *place.sealed_as),
            "nobody's": b"!1 x y\n" if isinstance(place.content, bytes) else "!1 x y\n",
        }
        if place.what in ("feed", "word"):  # which producers seal
            del wrong["of a producer"]
        for how, content in wrong.items():
            clear.delete(*(clear.keys(f"{prefix}*") or ["x"]))
            site.told.clear()
            place.put(content)
            assert not read(place), (name, how)
            assert place.what in site.told, (name, how)


def test_a_word_of_a_success_tells_what_a_worker_wrote_of_that_job(site: Site) -> None:
    ring = site.records.ring
    to = ring.seal('{"url": "https://h/"}', "word", "j")
    settings = Settings(redis_url=site.records.url)
    good = ring.seal_result({"job": "j", "size": 1}, "shop")
    assert outbox_word(site, settings, good)(to)
    for forged in ({**good, "size": 2}, {"job": "j"}, ring.seal_result({"job": "k"}, "shop")):
        with pytest.raises(NotTold):
            outbox_word(site, settings, forged)(to)
    canvas = ring.seal('{"canvas": {}}', "word", "j")
    assert outbox_word(site, settings, ring.seal_result({"job": "k"}, "shop"))(canvas)
