"""Whatever a request names, the policy looks at it."""

from __future__ import annotations

import re

import pytest

from b2jobs.requests import KINDS
from b2jobs_worker import permits

_PLACE = re.compile(r"source|destination|target|manifest|prefix|ledger|uri|url|location")
_NO_PLACE = {"source_account", "source_customer_key", "destination_customer_key"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_knows_every_place_that_a_request_names(kind: str) -> None:
    # A field that nobody asks the policy about would be a way around it.
    named = {name for name in KINDS[kind].model_fields if _PLACE.search(name)}
    internal = {"top"} if kind == "remove" else set()
    assert named - _NO_PLACE - internal <= {*permits._READ, *permits._WRITTEN}
