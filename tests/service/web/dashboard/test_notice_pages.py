import html
import re

from dashboard_client import SignIn
from relayed import World

from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.people import Role
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import lanes, notices, troubles

HOSTILE = "<script>alert(1)</script>"


def test_what_troubles_now_comes_first_as_text_and_the_rest_page_by_page(
    signed_in: SignIn, world: World
) -> None:
    client = signed_in(Role.VIEWER)
    assert "Nothing was worth a notice yet" in client.get("/notices").text
    with world.relay.ledger.write() as tx:
        for number in range(60):
            trouble = Trouble(f"k{number}", NoticeKind.STORY_FAILED, f"Number {number}.", HOSTILE)
            notices.add(tx, trouble, Audience(), world.clock())
        lasting = Trouble("", NoticeKind.QUEUE_OLD, "Work waits", HOSTILE)
        troubles.begin(tx, lasting, Audience(), world.clock())
    page = client.get("/notices").text
    assert page.index("Troubling now") < page.index("Work waits") < page.index("Number 59.")
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "Number 10." not in page
    with world.relay.ledger.read() as tx:
        before = notices.recent(tx, 50)[-1].id
    older = client.get("/notices", query_string={"before": before}).text
    assert "Number 10." in older
    assert "Number 11." not in older


def test_an_address_that_was_made_up_is_refused(signed_in: SignIn) -> None:
    assert signed_in(Role.VIEWER).get("/notices?before=x").status_code == 400


def test_troubles_stand_on_every_page_until_they_are_over(signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.VIEWER)
    for path in ("/", "/notices", "/receipts"):
        assert "badge" not in client.get(path).text
    with world.relay.ledger.write() as tx:
        lasting = Trouble("", NoticeKind.LANE_OFF, "Switched off: shelf", HOSTILE, about="shelf")
        troubles.begin(tx, lasting, Audience(), world.clock(), "deliver/shelf")
        troubles.begin(tx, Trouble("", NoticeKind.DISK_LOW, "Full", ""), None, world.clock(), "ledger")
    world.clock.move(3900)
    for path in ("/", "/receipts"):
        assert '<span class="badge">2<span class="unseen"> troubles last' in client.get(path).text
    assert "for 1 hour 5 minutes" in client.get("/overview/live").text
    for path in ("/notices", "/notices/live"):
        page = client.get(path).text
        assert 'href="/destinations#place-shelf"' in page
        assert "Destination switched off" in page
        assert "lane_off" not in page.replace('value="lane_off"', "")
        assert HOSTILE not in page
    with world.relay.ledger.write() as tx:
        assert lanes.close_circuit(tx, Lane(StepKind.DELIVER, "shelf"), world.clock()) is False
        troubles.end_of_lane(tx, Lane(StepKind.DELIVER, "shelf"), world.clock())
        troubles.end(tx, NoticeKind.DISK_LOW, world.clock(), "ledger")
    page = client.get("/notices").text
    assert "Over after 1 hour 5 minutes." in page
    assert "badge" not in page


def test_notices_of_one_kind(signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.VIEWER)
    with world.relay.ledger.write() as tx:
        for number in range(120):
            kind = NoticeKind.STORY_FAILED if number % 2 else NoticeKind.DELIVERY_DEAD
            notices.add(tx, Trouble(f"k{number}", kind, f"Number {number}.", ""), Audience(), world.clock())
    page = client.get("/notices?kind=story_failed").text
    assert ("Number 119." in page, "Number 118." in page, "Number 21." in page) == (True, False, True)
    assert "Number 19." not in page
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    rest = client.get(html.unescape(older[1])).text
    assert ("Number 19." in rest, "Number 18." in rest, "Number 1." in rest) == (True, False, True)
    assert "There is no notice of this kind." in client.get("/notices?kind=disk_low").text
    assert client.get("/notices?kind=nonsense").status_code == 400
