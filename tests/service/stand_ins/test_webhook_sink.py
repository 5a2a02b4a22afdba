import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from standardwebhooks import Webhook

from service.stand_ins.webhook_sink import SinkFault, WebhookSink

SECRET = "whsec_" + "QUFB" * 8
LOST = (URLError, http.client.HTTPException, ConnectionError)


def post(
    sink: WebhookSink, id_: str = "m1", *, secret: str = SECRET, age: float = 0, timeout: float = 5
) -> int:
    body = json.dumps({"type": "story.published", "data": {"story": {"id": "s1"}}})
    at = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, at, body),
    }
    with urlopen(Request(sink.url, data=body.encode(), headers=headers), timeout=timeout) as answer:
        status: int = answer.status
        return status


def test_keeps_what_is_signed(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with WebhookSink(SECRET, log=log) as sink:
        assert post(sink, "m1") == post(sink, "m1") == 204
        assert [(d.id, d.type, d.story_id, d.verified) for d in sink.deliveries] == [
            ("m1", "story.published", "s1", True)
        ] * 2
    assert [json.loads(line)["story"] for line in log.read_text().splitlines()] == ["s1", "s1"]


@pytest.mark.parametrize(("secret", "age"), [("whsec_" + "QkJC" * 8, 0), (SECRET, 3600), (SECRET, -3600)])
def test_refuses_a_wrong_signature_and_an_old_or_future_one(secret: str, age: float) -> None:
    with WebhookSink(SECRET) as sink:
        with pytest.raises(HTTPError) as refused:
            post(sink, secret=secret, age=age)
        refused.value.close()
        assert refused.value.code == 401
        assert sink.deliveries == []


def test_refuses_what_is_no_json() -> None:
    with WebhookSink(SECRET) as sink:
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(sink.url, data=b"<html>", method="POST"))
        refused.value.close()
        assert refused.value.code == 400


def test_fails_as_told() -> None:
    with WebhookSink(SECRET) as sink:
        sink.fail_next(SinkFault(status=429, headers=(("Retry-After", "7"),), body="slower"))
        with pytest.raises(HTTPError) as refused:
            post(sink)
        assert (refused.value.code, refused.value.headers["Retry-After"], refused.value.read()) == (
            429,
            "7",
            b"slower",
        )
        sink.fail_next(times=2)
        for _ in range(2):
            with pytest.raises(HTTPError, match="503") as refused:
                post(sink)
            refused.value.close()
        assert sink.deliveries == []
        sink.fail_next(SinkFault(drop=True, after_effect=True))
        with pytest.raises(LOST):
            post(sink)
        sink.fail_next(SinkFault(delay=30, after_effect=True))
        with pytest.raises(TimeoutError):
            post(sink, timeout=0.2)
        assert len(sink.deliveries) == 2
        assert post(sink) == 204


def test_a_share_of_requests_fails_and_none_is_lost() -> None:
    with WebhookSink(SECRET, error_rate=0.3, seed=7) as sink:

        def deliver(number: int) -> int:
            for attempt in range(1, 50):
                try:
                    post(sink, f"m{number}")
                except HTTPError as error:
                    error.close()
                else:
                    return attempt
            raise AssertionError

        with ThreadPoolExecutor(8) as pool:
            attempts = list(pool.map(deliver, range(100)))
        assert sum(attempts) == sink.requests > 100
        assert len({d.id for d in sink.deliveries}) == 100 < len(sink.deliveries)
