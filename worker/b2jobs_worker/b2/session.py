"""b2sdk's session as b2jobs uses it: one try a call, one authorisation for all threads.

b2sdk's own retries would sleep up to 683 s inside one call; retrying is `retry.py`'s and
delivery's. And each thread that meets an expired token would authorise for itself, a
class C call each; here the first one does and the others go on with its token.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from b2sdk.v3 import (
    B2Http,
    B2HttpApiConfig,
    B2RawHTTPApi,
    B2Session,
    DummyCache,
    InMemoryAccountInfo,
)
from b2sdk.v3.exception import (
    AccessDenied,
    B2Error,
    BadUploadUrl,
    EmailNotVerified,
    InvalidAuthToken,
    InvalidJsonResponse,
    NoPaymentHistory,
    SSECKeyError,
    Unauthorized,
)

from b2jobs_worker.b2.http import Body, Response, Session

Send = Callable[..., Any]
_decode = json.JSONDecoder().decode

REFUSED_SECONDS = 60.0
"""How long a key that B2 refused is not shown to it again; one that is replaced is new."""


class KeyRefused(B2Error):
    """B2 does not authorise the key: it is wrong, or it was deleted in the middle.

    Not an `Unauthorized`, which b2sdk would replace on its way up from an upload.
    """

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def __str__(self) -> str:
        return self.message


class OneTryHttp(B2Http):
    """Tries each call once and never sleeps."""

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """As `B2Http.request`, whatever its *try_count* says."""
        if len(args) > 4:
            args = (*args[:4], 1, *args[5:])
        else:
            kwargs["try_count"] = 1
        response: Response = super().request(*args, **kwargs)
        return response

    def request_content_return_json(self, *args: Any, **kwargs: Any) -> Any:
        """As `B2Http` does it, but an answer that is no JSON is B2's failure and not a bug."""
        try:
            return super().request_content_return_json(*args, **kwargs)
        except ValueError as error:
            raise InvalidJsonResponse(str(error).encode()) from error


class _Last(threading.local):
    token: str | None = None


class RawApi(B2RawHTTPApi):
    """Keeps what an authorisation says and b2sdk does not keep."""

    key_expires_millis: int | None = None

    def authorize_account(self, *args: Any) -> Any:
        answer = super().authorize_account(*args)
        self.key_expires_millis = answer.get("applicationKeyExpirationTimestamp")
        return answer


@dataclass(frozen=True)
class Allows:
    """What an authorisation says a key may do: asked several times for each file."""

    capabilities: frozenset[str]
    name_prefix: str | None
    buckets: list[dict[str, Any]] | None
    download_url: str


class AccountInfo(InMemoryAccountInfo):
    """Remembers, for each thread, which token it took last."""

    allows: Allows
    """Once it is authorised."""

    def __init__(self) -> None:
        super().__init__()
        self.last = _Last()

    def _set_auth_data(self, *said: Any) -> None:
        super()._set_auth_data(*said)
        allowed = self.get_allowed()
        self.allows = Allows(
            frozenset(allowed.get("capabilities") or ()),
            allowed.get("namePrefix"),
            allowed.get("buckets"),
            self.get_download_url(),
        )

    def get_account_auth_token(self) -> str:
        token: str = self._auth_token or super().get_account_auth_token()
        self.last.token = token
        return token


class OneAuthorisation(B2Session):
    """One account's session, for all threads of one process."""

    B2HTTP_CLASS = staticmethod(OneTryHttp)

    def __init__(self, http: Session) -> None:
        self.info = AccountInfo()
        self.authorisations = 0
        self._authorising = threading.Lock()
        self._refusal: tuple[float, str] | None = None
        config = B2HttpApiConfig(
            http_session_factory=lambda: http,
            install_clock_skew_hook=False,
            user_agent_append="b2jobs",
            decode_content=True,  # leaves the session as it is; ours never decodes
        )
        super().__init__(self.info, cache=DummyCache(), api_config=config)
        self.raw_api: RawApi = RawApi(self.B2HTTP_CLASS(config))
        self._http = http
        self._user_agent = str(self.raw_api.b2_http.user_agent)

    def authorize_account(self, realm: str, key_id: str, application_key: str) -> None:
        """Authorise now; for the first time, and when a token has expired.

        Raises:
            KeyRefused: without asking, where B2 has said so within `REFUSED_SECONDS`.
        """
        if self.is_refused and self._refusal is not None:
            raise KeyRefused(self._refusal[1])
        try:
            super().authorize_account(realm, key_id, application_key)
        except (EmailNotVerified, NoPaymentHistory):
            raise
        except Unauthorized as error:
            self._refusal = time.monotonic(), str(error)
            raise KeyRefused(str(error)) from error
        self._refusal = None
        self.authorisations += 1

    def listing(self, call: str, **arguments: Any) -> Any:
        """A page of b2_list_file_names or b2_list_file_versions.

        b2sdk's own method of that name knows no delimiter.
        """

        def ask(api_url: str, token: str) -> Any:
            return self.raw_api._post_json(api_url, f"b2_{call}", token, **arguments)

        return self._wrap_default_token(ask)

    @property
    def is_refused(self) -> bool:
        """Whether B2 has refused the key a short while ago."""
        refusal = self._refusal
        return refusal is not None and time.monotonic() - refusal[0] < REFUSED_SECONDS

    def authorize_automatically(self) -> bool:
        """Called by b2sdk when B2 refused a token; true means try the call again.

        Nothing is authorised when another thread has authorised since.
        """
        refused = self.info.last.token
        with self._authorising:
            if refused is not None and refused != self.info.get_account_auth_token():
                return True
            authorised: bool = super().authorize_automatically()
            return authorised

    # What b2sdk does for a small file costs as much as the HTTP below it, so the two calls that
    # move one are sent without it. What is not an answer with a file stays b2sdk's matter: errors,
    # tokens that have expired, upload URLs.

    def upload_plain(self, bucket_id: str, headers: dict[str, str], body: bytes | Body) -> Any:
        """`upload_file` for a file that nothing protects; *headers* but for the authorisation."""

        def send() -> Any:
            url, token = self._get_upload_data(bucket_id)
            if not isinstance(body, bytes):
                body.seek(0)
            try:
                content = self._send("POST", url, token, headers, body).content
            except InvalidAuthToken as error:
                self.info.clear_bucket_upload_data(bucket_id)
                raise _refused() from error
            document = _document(content)
            self.info.put_bucket_upload_url(bucket_id, url, token)
            return document

        return self._execute_with_auth_retry(send)

    def download_plain(self, url: str, headers: dict[str, str]) -> Response:
        """`download_file_from_url` without a customer's key."""

        def ask() -> Response:
            try:
                return self._send("GET", url, self.info.get_account_auth_token(), headers)
            except AccessDenied as error:
                raise SSECKeyError from error

        response: Response = self._execute_with_auth_retry(ask)
        return response

    def _send(
        self,
        method: str,
        url: str,
        token: str,
        headers: dict[str, str],
        body: bytes | Body | None = None,
    ) -> Response:
        asked = {**headers, "Authorization": token, "User-Agent": self._user_agent}
        request = partial(self._http.request, method, url, headers=asked, data=body)
        response: Response = OneTryHttp._translate_errors(partial(request, stream=body is None))
        return response

    def _upload_small(self, f: Send, bucket_id: str, *args: Any, **named: Any) -> Any:
        drop = partial(self.info.clear_bucket_upload_data, bucket_id)
        return super()._upload_small(_dropping(drop, f), bucket_id, *args, **named)

    def _upload_part(self, f: Send, file_id: str, *args: Any, **named: Any) -> Any:
        drop = partial(self.info.clear_large_file_upload_urls, file_id)
        return super()._upload_part(_dropping(drop, f), file_id, *args, **named)


def _document(content: bytes) -> Any:
    try:
        return _decode(content.decode())
    except ValueError as error:
        raise InvalidJsonResponse(str(error).encode()) from error


def _refused() -> BadUploadUrl:
    return BadUploadUrl("B2 refused an upload URL it had given")


def _dropping(drop: Callable[[], None], send: Send) -> Send:
    """*send*; a refused upload URL takes the pool's others along, which are as old.

    `BadUploadUrl` keeps b2sdk from authorising the account anew for it; retry.py tries again.
    """

    def send_or_drop(*args: Any, **named: Any) -> Any:
        try:
            return send(*args, **named)
        except InvalidAuthToken as error:
            drop()
            raise _refused() from error

    return send_or_drop
