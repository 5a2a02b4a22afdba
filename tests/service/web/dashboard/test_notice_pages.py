from dashboard_client import SignIn
from relayed import World

from service.domain.notices import NoticeKind, Trouble
from service.domain.people import Role
from service.ledger import notices, troubles

HOSTILE = "<script>alert(1)</script>"


def test_what_troubles_now_comes_first_as_text_and_the_rest_page_by_page(
    signed_in: SignIn, world: World
) -> None:
    client = signed_in(Role.VIEWER)
    assert "Nothing was worth a notice yet" in client.get("/notices").text
    with world.relay.ledger.write() as tx:
        for number in range(60):
            trouble = Trouble(f"k{number}", NoticeKind.STORY_FAILED, f"Number {number}.", HOSTILE)
            notices.add(tx, trouble, [], world.clock())
        lasting = Trouble("", NoticeKind.QUEUE_OLD, "Work waits", HOSTILE)
        troubles.begin(tx, lasting, [], world.clock())
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
