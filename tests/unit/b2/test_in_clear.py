"""An address that B2 names is used only where the account's token does not go there in clear."""

from __future__ import annotations

import pytest

from b2jobs.errors import OperatorError
from b2jobs_worker.b2.http import Carried, Session


@pytest.mark.parametrize("url", ["http://pod.example/b2api/v4/b2_list_buckets", "ftp://x/", "x"])
def test_what_is_not_https_is_not_asked(url: str) -> None:
    session = Session()
    with pytest.raises(Carried) as caught:
        session.request("POST", url, headers={"Authorization": "token"}, data=b"{}")
    error = caught.value.take()
    assert isinstance(error, OperatorError)
    assert error.code == "b2_in_clear"
    assert "token" not in str(error).replace("token would", "")
