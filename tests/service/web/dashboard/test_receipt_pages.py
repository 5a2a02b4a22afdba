"""Receipts on the dashboard: found, read, downloaded, adopted."""

from datetime import timedelta

import pytest
from dashboard_client import SignIn, post
from relayed import START, World

from service.domain.people import Role
from service.domain.states import StepState, StoryState, Verdict
from service.ledger import people, receipts
from service.ledger.receipts import Receipt, Sought

HOSTILE = b'{"title": "<script>alert(1)</script>"}'


def came(
    world: World,
    verdict: Verdict,
    minutes: int = 0,
    *,
    claimed: str | None = None,
    token: str = "submission",  # noqa: S107  whose token, not the token
    body: bytes = HOSTILE,
) -> None:
    at = START + timedelta(minutes=minutes)
    with world.relay.ledger.write() as tx:
        new = Receipt(token, verdict, body, "text/html", "203.0.113.9", at, claimed_id=claimed)
        receipts.add(tx, [new])


def test_every_receipt_is_listed_and_opens(signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.VIEWER)
    assert "No webhook came yet" in client.get("/receipts").text
    came(world, Verdict.MALFORMED, body=b"<img src=x onerror=alert(1)>\xff")
    listed = client.get("/receipts").text
    assert 'href="/receipts/1"' in listed
    assert "203.0.113.9" in listed
    page = client.get("/receipts/1").text
    assert "&lt;img src=x onerror=alert(1)&gt;\N{REPLACEMENT CHARACTER}" in page
    assert "<img" not in page
    assert "Adopt" not in page
    assert client.get("/receipts/2").status_code == 404


def test_json_is_shown_in_lines_and_as_text(signed_in: SignIn, world: World) -> None:
    came(world, Verdict.ACCEPTED)
    page = signed_in(Role.VIEWER).get("/receipts/1").text
    assert "{\n  &#34;title&#34;: &#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34;\n}" in page


def test_a_body_is_downloaded_as_it_came_and_is_no_page(signed_in: SignIn, world: World) -> None:
    came(world, Verdict.ACCEPTED)
    answer = signed_in(Role.VIEWER).get("/receipts/1/body")
    assert answer.data == HOSTILE
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="receipt-1.bin"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"verdict": "unmatched"}, [2]),
        ({"token": "route:all"}, [3, 2]),
        ({"token": "route:all", "verdict": "accepted"}, [3]),
        ({"claimed": "3f9"}, [3, 1]),
        ({"claimed": "3f9c"}, [3]),
        ({"claimed": "3F9"}, []),
        ({"claimed": "%"}, []),
        ({"from": "2026-03-01T12:01"}, [3, 2]),
        ({"to": "2026-03-01T12:01"}, [1]),
        ({"from": "2026-03-01T12:01", "to": "2026-03-01T12:02"}, [2]),
        ({"verdict": "nonsense"}, [3, 2, 1]),
    ],
)
def test_receipts_are_filtered(
    signed_in: SignIn, world: World, asked: dict[str, str], found: list[int]
) -> None:
    came(world, Verdict.ACCEPTED, 0, claimed="3f9")
    came(world, Verdict.UNMATCHED, 1, token="route:all")
    came(world, Verdict.ACCEPTED, 2, token="route:all", claimed="3f9c")
    page = signed_in(Role.VIEWER).get("/receipts", query_string=asked).text
    assert [key for key in (3, 2, 1) if f'href="/receipts/{key}"' in page] == found


def test_pages_follow_one_another_without_loss_and_keep_the_filter(signed_in: SignIn, world: World) -> None:
    for _ in range(120):  # all at one moment: the key decides
        came(world, Verdict.DUPLICATE)
    came(world, Verdict.ACCEPTED)
    client = signed_in(Role.VIEWER)
    seen: list[int] = []
    address: str | None = "/receipts?verdict=duplicate"
    while address:
        page = client.get(address).text
        seen += [int(part.partition('"')[0]) for part in page.split('href="/receipts/')[1:]]
        _, found, rest = page.partition('rel="next" href="')
        address = rest.partition('"')[0].replace("&amp;", "&") if found else None
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize(
    "after", ["x", "2026-03-01~1", "2026-03-01T12:00:00+00:00~x", f"{START.isoformat()}~{2**70}"]
)
def test_an_address_that_was_bent_is_told(signed_in: SignIn, after: str) -> None:
    page = signed_in(Role.VIEWER).get("/receipts", query_string={"after": after}).text
    assert "does not say where it begins" in page


def test_an_operator_adopts_what_was_unmatched(signed_in: SignIn, world: World) -> None:
    came(world, Verdict.UNMATCHED, claimed="story-9", token="route:all")
    client = signed_in(Role.OPERATOR)
    assert 'value="story-9"' in client.get("/receipts/1").text
    post(client, "/receipts/1/adopt", story="story-9")
    page = client.get("/receipts/1").text
    assert "Story story-9 is adopted" in page
    assert 'href="/stories/story-9"' in page
    assert world.story("story-9").state == StoryState.OPEN
    assert world.steps("story-9")["fetch"].state == StepState.QUEUED
    with world.relay.ledger.read() as tx:
        (deed,) = [
            deed for _, deed in people.deeds(tx, 5) if deed.who == "the-operator" and "story-9" in deed.about
        ]
    assert deed.action


def test_what_can_t_be_an_id_is_not_adopted(signed_in: SignIn, world: World) -> None:
    came(world, Verdict.UNMATCHED)
    client = signed_in(Role.OPERATOR)
    post(client, "/receipts/1/adopt", story="x" * 300)
    assert "nothing was adopted" in client.get("/receipts/1").text
    assert post(client, "/receipts/7/adopt", story="story-9").status_code == 404


def test_a_viewer_adopts_nothing(signed_in: SignIn, world: World) -> None:
    came(world, Verdict.UNMATCHED, claimed="story-9")
    client = signed_in(Role.VIEWER)
    assert "Adopt" not in client.get("/receipts/1").text
    assert post(client, "/receipts/1/adopt", story="story-9").status_code == 403


def test_whose_tokens_there_are_is_read_from_the_index(world: World) -> None:
    for token in ("submission", "route:b", "route:a", "submission"):
        came(world, Verdict.ACCEPTED, token=token)
    with world.relay.ledger.read() as tx:
        assert sorted(receipts.tokens(tx)) == ["route:a", "route:b", "submission"]
        assert receipts.listed(tx, Sought(claimed="x"), 5) == []
