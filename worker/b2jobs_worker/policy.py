"""The policy: what each producer, queue and worker may have done, as the config file says it.

    [policy.producers.shop]
    kinds = ["upload", "share"]
    accounts = ["default"]
    read = ["data://.my/shop/", "https://cdn.example.com/"]
    write = ["b2://shop-files/incoming/"]
    on_done = ["shop.tasks.*", "https://shop.example.com/"]
    max_bytes = 1_000_000_000
    [policy.producers."*"]      # every other, and whoever does not sign
    [policy.queues.high]
    [policy.worker]             # this worker, whoever asks

`permits` holds jobs to it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from b2jobs import locations
from b2jobs.model import Model
from b2jobs.requests import KINDS


class Rules(Model):
    """One table of the policy. What a table does not name, it does not limit.

    kinds: items of a batch or sync count as their own kind, what a sync hides as `sync`, the
        deletion of a prefix as `delete` alone.
    read, write: places that may be read, or written, changed and removed, each with all below
        it: b2://BUCKET/prefix/, data://ROOT/path/, https://host/, s3://BUCKET/prefix/.
    customer_keys: names of keys of the secrets file that files may be read or encrypted with.
    on_done: patterns of task names, and webhooks' URLs with all below them.
    max_bytes: of one file. max_items, max_batch_bytes: of one batch.
    max_waiting: jobs that have not ended; above it submitting is refused at once.
    """

    kinds: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    customer_keys: tuple[str, ...] | None = None
    read: tuple[str, ...] | None = None
    write: tuple[str, ...] | None = None
    on_done: tuple[str, ...] | None = None
    max_bytes: int | None = Field(None, ge=0)
    max_items: int | None = Field(None, ge=0)
    max_batch_bytes: int | None = Field(None, ge=0)
    max_waiting: int | None = Field(None, ge=0)

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = sorted(set(names or ()) - set(KINDS))
        if unknown:
            raise ValueError(f"no kind is named {unknown[0]!r}; there are {', '.join(KINDS)}")
        return names

    @field_validator("read", "write")
    @classmethod
    def _places(cls, uris: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if uris is None else tuple(map(_canonical, uris))


class Policy(Model):
    """All tables."""

    producers: dict[str, Rules] = Field(default_factory=dict)
    queues: dict[Literal["high", "normal", "low"], Rules] = Field(default_factory=dict)
    worker: Rules = Rules()

    def limits(self) -> dict[str, int]:
        """How many jobs may wait, for the script that submits."""
        tables = {
            **{f"producer:{name}": rules for name, rules in self.producers.items()},
            **{f"queue:{name}": rules for name, rules in self.queues.items()},
        }
        return {
            n: rules.max_waiting for n, rules in tables.items() if rules.max_waiting is not None
        }


def _canonical(uri: str) -> str:
    """A rule's place in the spelling in which requests are printed.

    Raises:
        InvalidLocation
    """
    if uri.count("/") == 2 and not uri.endswith("/"):  # b2://BUCKET, data://ROOT
        uri += "/"
    return str(locations.parse(uri))
