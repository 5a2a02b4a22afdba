"""What WordPress's refusals mean: its codes say more than its statuses, and its messages are translated."""

import re
from datetime import datetime
from html import unescape
from typing import Any

from handlers.connectors.answers import answered, excerpt
from service.domain.delivery import DeliveryFailed
from service.outbound_http import NotJson, Response
from service.outbound_http.plain_text import plain

_NOT_THIS_ONE = frozenset({"rest_cannot_edit", "rest_cannot_update", "rest_cannot_delete"})
"""Refused for one post or file, which then belongs to somebody else: no reason to pause the destination."""
_RIGHTS = re.compile(r"rest_(cannot|forbidden|user_cannot)")
_LOGIN = (
    "the login was not taken. WordPress answers the same for three causes: the username is wrong; the password is "
    "the login's and not an application password (made under Users → Profile, on https only); or the web server "
    "drops the Authorization header (Apache: `CGIPassAuth On`; nginx: `proxy_set_header Authorization "
    "$http_authorization`, or `fastcgi_param HTTP_AUTHORIZATION $http_authorization`)"
)


class WordPressRefusal(DeliveryFailed):
    """The site answered with an error: `status` by HTTP, `code` by WordPress (rest_cannot_create), and its `data`."""

    def __init__(
        self, message: str, answer: Response, *, retry_after: float | None, permanent: bool, refused: bool
    ) -> None:
        super().__init__(message, permanent=permanent, refused=refused, retry_after=retry_after)
        self.status = answer.status
        self.code, _, self.data = _error(answer)


def failure(answer: Response, host: str, now: datetime) -> DeliveryFailed:
    """What an answer that is not 2xx means."""
    code, message, _ = _error(answer)
    said = f"WordPress at {host} answered {answer.status}"
    said += f" ({plain(code, 60)}): {plain(message, 200)}" if code else f": {excerpt(answer.body)}"
    usual = answered(answer.status, said.rstrip(": "), answer.retry_after(now))
    permanent, refused, advice = _meaning(answer.status, code, usual)
    return WordPressRefusal(
        f"{usual}{advice}", answer, retry_after=usual.retry_after, permanent=permanent, refused=refused
    )


def _meaning(status: int, code: str, usual: DeliveryFailed) -> tuple[bool, bool, str]:
    """Permanent, refused, and what to do."""
    if 300 <= status < 400:
        return False, False, "; redirects are not followed: put the final address into the url option"
    if code in _NOT_THIS_ONE:
        return True, False, "; somebody else's by now? the account may change its own only"
    if _RIGHTS.match(code) and status != 404:  # 6.1 says 400 where uploads are not allowed
        return False, True, "; the account lacks this right: see doctor for what it may"
    if status == 401:
        return False, True, f"; {_LOGIN}"
    if code == "rest_upload_hash_mismatch":  # 412: damaged on its way
        return False, False, ""
    if code.startswith("rest_upload_"):  # whatever the status: a refused type is answered with 500
        return True, False, ""
    if code == "rest_no_route":
        return (
            True,
            False,
            "; is the REST API switched off, the post type hidden from it, or url not the site's?",
        )
    return usual.permanent, usual.refused, ""


def _error(answer: Response) -> tuple[str, str, dict[str, Any]]:
    """Code, message and data of a WP_Error; empty where the answer is not WordPress's."""
    try:
        said = answer.json()
    except NotJson:
        return "", "", {}
    if not isinstance(said, dict):
        return "", "", {}
    data = said.get("data")
    message = unescape(re.sub(r"<[^>]*>", " ", str(said.get("message", ""))))
    return str(said.get("code", "")), message, data if isinstance(data, dict) else {}
