"""What WordPress's refusals mean: its codes say more than its statuses, and its messages are translated."""

import re
from datetime import datetime
from html import unescape
from typing import Any

from handlers.connectors.answers import answered, excerpt
from service.domain.delivery import DeliveryFailed
from service.outbound_http import NotJson, Response
from service.outbound_http.plain_text import plain

_OF_ONE = frozenset({"rest_cannot_edit", "rest_cannot_update", "rest_cannot_delete"})
"""Refused for one post or file, which then belongs to somebody else: no reason to pause the destination."""
_NOT_THIS_ONE = True, False, "; somebody else's by now? the account may change its own only"
_NO_RIGHT = False, True, "; the account lacks this right: see doctor for what it may"
_KNOWN = {
    "rest_upload_hash_mismatch": (False, False, "; it was damaged on its way"),
    "rest_post_invalid_id": (False, False, "; it went away meanwhile and is looked for next time"),
    "rest_no_route": (
        True,
        False,
        "; is the REST API off, the post type hidden from it, or url not the site's?",
    ),
}
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
    code, message, data = _error(answer)
    said = f"WordPress at {host} answered {answer.status}"
    said += f" ({plain(code, 60)}): {plain(message, 200)}" if code else f": {excerpt(answer.body)}"
    usual = answered(answer.status, said.rstrip(": "), answer.retry_after(now))
    permanent, refused, advice = _meaning(*_cause(answer.status, code, data), usual)
    return WordPressRefusal(
        f"{usual}{advice}", answer, retry_after=usual.retry_after, permanent=permanent, refused=refused
    )


def _cause(status: int, code: str, data: dict[str, Any]) -> tuple[int, str]:
    """Status and code of what an invalid parameter was invalid for: `status=any` is one without a login."""
    details = data.get("details")
    for detail in details.values() if isinstance(details, dict) else ():
        if isinstance(detail, dict) and _RIGHTS.match(str(detail.get("code"))):
            inner = detail.get("data")
            known = inner.get("status") if isinstance(inner, dict) else None
            return known if isinstance(known, int) else status, str(detail["code"])
    return status, code


def _meaning(status: int, code: str, usual: DeliveryFailed) -> tuple[bool, bool, str]:
    """Permanent, refused, and what to do."""
    if 300 <= status < 400:
        return False, False, "; redirects are not followed: put the final address into the url option"
    if code in _KNOWN:
        return _KNOWN[code]
    if code.startswith("rest_upload_"):  # whatever the status: a refused type is answered with 500
        return True, False, ""
    if status == 401:
        return False, True, f"; {_LOGIN}"
    # 6.1 says 400 where uploads are not allowed; with 500 it was tried and failed
    if _RIGHTS.match(code) and 400 <= status < 500:
        return _NOT_THIS_ONE if code in _OF_ONE else _NO_RIGHT
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
