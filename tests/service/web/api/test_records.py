from collections.abc import Callable
from datetime import timedelta

from relayed import World

from service.domain.api_tokens import Scope
from service.domain.notices import Audience, NoticeKind, Trouble
from service.ledger import notices, troubles


def test_troubles_that_last_are_listed_also_those_of_which_nobody_is_told(
    world: World, with_scopes: Callable
) -> None:
    program, now = with_scopes(Scope.READ), world.clock()
    with world.relay.ledger.write() as tx:
        troubles.begin(tx, Trouble("", NoticeKind.DISK_LOW, "Full", "Make room."), Audience(), now, "ledger")
        troubles.begin(tx, Trouble("", NoticeKind.LANE_PAUSED, "Paused", ""), None, now, "ask/team")
        troubles.begin(tx, Trouble("", NoticeKind.QUEUE_OLD, "Waits", ""), Audience(), now)
        assert troubles.end(tx, NoticeKind.QUEUE_OLD, now + timedelta(hours=1))
        notices.add(tx, Trouble("k", NoticeKind.STORY_FAILED, "Failed", ""), Audience(), now)
    lasting = program.get("/troubles").json["items"]
    assert [(each["kind"], each["about"], each["resolved_at"]) for each in lasting] == [
        ("lane_paused", "ask/team", None),
        ("disk_low", "ledger", None),
    ]
    first = program.get("/troubles?all=true&limit=1").json
    assert first["items"][0]["resolved_at"] == (now + timedelta(hours=1)).isoformat()
    assert program.get(f"/troubles?all=true&limit=1&after={first['next']}").json["items"] == [lasting[0]]
    told = {each["kind"]: each["trouble"] for each in program.get("/notices").json["items"]}
    assert told["story_failed"] is None
    assert told["disk_low"] == {name: value for name, value in lasting[1].items() if name != "id"}
    assert told["queue_old"]["resolved_at"] is not None
    only = program.get("/notices?kind=story_failed").json["items"]
    assert [each["title"] for each in only] == ["Failed"]
    assert program.get("/notices?kind=nonsense").status_code == 422
