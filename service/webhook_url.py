"""The signed addresses that the Story API, or anyone who submits stories, sends webhooks to."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itsdangerous import BadData

from service.signing import BadToken, Clock, check_form, signer, timestamp_signer

__all__ = ["BadToken", "RouteToken", "SubmissionToken", "WebhookUrls"]

LONGEST = 512
_DAY = 86_400
_FUTURE = 300  # seconds by which the clock of the machine that signed may be ahead of ours
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class SubmissionToken:
    """Names one submission of ours."""

    submission_id: str


@dataclass(frozen=True)
class RouteToken:
    """Names a route, for stories that others submit."""

    route: str


class WebhookUrls:
    """Makes and reads `<public_url>/webhooks/story/<token>`.

    The first of `keys` signs, all verify. A submission's token lives `submission_days`; a route's until the
    route's version in `route_versions` changes or the route goes. Raises ValueError without keys.
    """

    def __init__(
        self,
        public_url: str,
        keys: Sequence[str],
        submission_days: float,
        route_versions: Mapping[str, int],
        now: Clock = time.time,
    ) -> None:
        self._base = f"{public_url.rstrip('/')}/webhooks/story/"
        self._submissions = timestamp_signer(keys, "storyrelay.webhook.submission", now)
        self._routes = signer(keys, "storyrelay.webhook.route")
        self._longest_age = submission_days * _DAY
        self._versions = dict(route_versions)
        self._now = now

    def for_submission(self, submission_id: str) -> str:
        """The URL for one submission; ids are at most 64 of A–Z, a–z, 0–9, `_`, `-`, else ValueError."""
        if not _ID.fullmatch(submission_id):
            raise ValueError(f"no submission's id: {submission_id[:80]!r}")
        return self._base + self._submissions.sign(f"s.{submission_id}").decode()

    def for_route(self, name: str) -> str:
        """The URL for a route, always the same until its version is raised. Raises KeyError for no such route."""
        return self._base + self._routes.sign(f"r.{name}.{self._versions[name]}").decode()

    def read(self, token: str) -> SubmissionToken | RouteToken:
        """Returns what the token names; raises BadToken and nothing else, whatever the text."""
        check_form(token, LONGEST)
        try:
            return self._read_submission(token) if token.startswith("s.") else self._read_route(token)
        except BadData:
            raise BadToken from None

    def _read_submission(self, token: str) -> SubmissionToken:
        value, signed_at = self._submissions.unsign(token, return_timestamp=True)
        age = self._now() - signed_at.timestamp()
        if not -_FUTURE <= age <= self._longest_age:
            raise BadToken
        return SubmissionToken(value.decode().removeprefix("s."))

    def _read_route(self, token: str) -> RouteToken:
        name, _, version = self._routes.unsign(token).decode().removeprefix("r.").rpartition(".")
        if str(self._versions.get(name)) != version:
            raise BadToken
        return RouteToken(name)
