"""From an item to the request of a single job, which is what runs it."""

from __future__ import annotations

from typing import Any

from b2jobs.items import Item
from b2jobs.requests import Job, build
from b2jobs.requests.attributes import together
from b2jobs_worker.batch.ledger.packs import Orders


def request_of(item: Item, orders: Orders) -> Job:
    """The upload, download, copy, delete or hide that does *item*.

    Raises:
        InvalidJob: the item can never be done.
    """
    arguments: dict[str, Any] = {"account": orders.account}
    if item.action in ("delete", "hide", "remove"):
        arguments["target"] = item.destination
    else:
        arguments |= {"source": item.source, "destination": item.destination}
        if orders.if_exists and not (item.action == "download" and orders.if_exists == "version"):
            arguments["if_exists"] = orders.if_exists
    if item.action in ("download", "copy"):
        arguments["customer_key"] = orders.customer_key
    if item.action == "copy":
        arguments["source_account"] = orders.source_account
    general = orders.attributes if item.action in ("upload", "copy") else {}
    return build(item.action, {**arguments, **together(general, item.options)})
