"""The list against the plain truth: every story looked at, one by one."""

import random
from dataclasses import replace

import pytest
import sqlalchemy as sa

from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, steps, stories, story_lines, story_list, story_words
from service.ledger.stories import NewStory
from service.ledger.story_list import Found, Sought
from service.ledger.tables import steps as step_table
from service.ledger.tables import stories as story_table
from tests.service.ledger.conftest import NOON, at

COUNT = 120
STATES = (StoryState.SETTLED, StoryState.FAILED, StoryState.OPEN)
WORDS = ("fox", "Äpfel", "moon", "harbour")
SOUGHT = (
    Sought(),
    Sought(states=(StoryState.FAILED,)),
    Sought(states=(StoryState.FAILED, StoryState.OPEN)),
    Sought(route="pinned"),
    Sought(route="matched"),
    Sought(destination="team"),
    Sought(destination="rare", states=(StoryState.SETTLED,)),
    Sought(destination="team", route="matched", states=(StoryState.OPEN, StoryState.SETTLED)),
    Sought(labels={"team": "brand"}),
    Sought(labels={"team": 'it\'s "quoted"'}),
    Sought(since=at(30), until=at(70)),
    Sought(since=at(1000)),
    Sought(until=at(-5)),
    Sought(words="moo"),
    Sought(words="moo", destination="rare"),
    Sought(words="harb", labels={"team": "shop"}),
    Sought(words="fox HARB"),
    Sought(words="Äpf", since=at(20), states=(StoryState.FAILED,)),
    Sought(words="story-7"),
    Sought(words='" OR * NEAR( -x'),
    Sought(words="& | ! :* '"),
)


@pytest.fixture(scope="module")
def told(lasting_ledger: Ledger) -> Ledger:
    """Is only read."""
    _tell(lasting_ledger)
    return lasting_ledger


def _tell(ledger: Ledger) -> None:
    chance = random.Random(3)
    with ledger.write() as tx:
        for number in range(COUNT):
            _add(tx, number, chance)


def _add(tx: sa.Connection, number: int, chance: random.Random) -> None:
    words = chance.sample(WORDS, 2)
    labels = {"team": chance.choice(["brand", "shop", 'it\'s "quoted"'])}
    new = NewStory(
        f"sub-{number}", Origin.SUBMITTED, chance.choice(STATES), f"story-{number}", title=words[0],
        request={"idea": f"A story of the {words[1]}"}, labels=labels, route=chance.choice(["pinned", None]),
    )  # fmt: skip
    key = stories.add(tx, new, at(number))
    assert key is not None
    for name in chance.sample(["team", "cms", "rare"], chance.choice([0, 1, 2])):
        lane = Lane(StepKind.DELIVER, name)
        steps.add(tx, [steps.NewStep(lane, key, 1, new.route or "matched")], at(number))


def _truth(ledger: Ledger, sought: Sought) -> list[int]:
    with ledger.read() as tx:
        keys = tx.execute(sa.select(story_table.c.id).order_by(story_table.c.id.desc())).scalars().all()
        rows = stories.of_keys(tx, keys)
        work = tx.execute(sa.select(step_table).where(step_table.c.kind == "deliver")).all()
    found = []
    for row in rows:
        mine = [step for step in work if step.story == row.id]
        text = f"{row.title} {row.request['idea']}".lower().replace("ä", "a")
        asked = sought.words.lower().replace("ä", "a")
        words = [word.strip("\"*-(&|!:'") for word in asked.split()]
        words = [word for word in words if word]
        fits = (
            (not sought.states or row.state in sought.states)
            and (
                sought.route is None
                or row.route == sought.route
                or any(s.route == sought.route for s in mine)
            )
            and (sought.destination is None or any(s.destination == sought.destination for s in mine))
            and all(row.labels.get(name) == value for name, value in sought.labels.items())
            and (sought.since is None or row.created_at >= sought.since)
            and (sought.until is None or row.created_at < sought.until)
            and (
                not asked
                or row.story_id == asked
                or (bool(words) and all(any(t.startswith(w) for t in text.split()) for w in words))
            )
        )
        if fits:
            found.append(row.id)
    return found


def _page(ledger: Ledger, sought: Sought, limit: int, **turn: int | None) -> Found:
    with ledger.read() as tx:
        return story_list.page(tx, sought, limit, **turn)


@pytest.mark.parametrize("sought", SOUGHT, ids=str)
def test_pages_hold_every_story_that_fits_once_newest_first(told: Ledger, sought: Sought) -> None:
    expected = _truth(told, sought)
    found: list[int] = []
    before = None
    while True:
        page = _page(told, sought, 7, before=before)
        found += page.keys
        if page.older is None:
            break
        before = page.older
    assert found == expected


@pytest.mark.parametrize("sought", [each for each in SOUGHT if each.words], ids=str)
def test_words_that_the_newest_stories_have_not_are_found_by_their_index(
    told: Ledger, monkeypatch: pytest.MonkeyPatch, sought: Sought
) -> None:
    monkeypatch.setattr(story_words, "OFTEN", COUNT + 1)
    test_pages_hold_every_story_that_fits_once_newest_first(told, sought)


@pytest.mark.parametrize("sought", SOUGHT, ids=str)
def test_newer_leads_back_the_same_way(told: Ledger, sought: Sought) -> None:
    expected = _truth(told, sought)
    last = _page(told, sought, 7, before=expected[-1] if expected else None)
    found: list[int] = []
    newer = last.newer
    while newer is not None:
        page = _page(told, sought, 7, after=newer)
        found = [*page.keys, *found]
        newer = page.newer
    assert found == expected


def test_a_search_that_would_be_long_says_how_far_it_came(
    told: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("FEW", 2), ("MOST_LOOKED_AT", 20), ("_FIRST_LOOK", 10), ("_LOOK", 10)):
        monkeypatch.setattr(story_list, name, most)
    sought = Sought(destination="rare", states=(StoryState.FAILED,), route="matched")
    found: list[int] = []
    before, stopped = None, 0
    while True:
        page = _page(told, sought, 5, before=before)
        found += page.keys
        stopped += page.looked_to is not None
        if page.older is None:
            break
        before = page.older
    assert found == _truth(told, sought)
    assert stopped


def test_words_follow_what_the_story_is_called_now(ledger: Ledger) -> None:
    _tell(ledger)
    key = _truth(ledger, Sought())[0]
    with ledger.write() as tx:
        stories.change(tx, key, NOON, title="A zeppelin", request={"idea": "over the sea"})
    assert _page(ledger, Sought(words="zeppelin sea"), 5).keys == (key,)
    with ledger.write() as tx:
        stories.change(tx, key, NOON, title="", request=None)
    assert _page(ledger, Sought(words="zeppelin"), 5).keys == ()
    with ledger.write() as tx:
        tx.execute(sa.text("DELETE FROM stories"))
    assert _page(ledger, Sought(words="fox"), 5).keys == ()


def test_a_line_has_the_newest_delivery_to_each_destination(ledger: Ledger, story: int) -> None:
    with ledger.write() as tx:
        for revision in (1, 2):
            lane = Lane(StepKind.DELIVER, "team")
            steps.add(tx, [steps.NewStep(lane, story, revision, "all")], NOON)
        tx.execute(sa.update(step_table).where(step_table.c.revision == 1).values(state=StepState.DEAD))
        first, gone = story_lines.lines(tx, [story]), story_lines.lines(tx, [story + 1])
    assert gone == []
    assert [(each.destination, each.state) for each in first[0].deliveries] == [("team", StepState.PENDING)]
    assert first[0].route == "all"
    assert replace(first[0], deliveries=()).about == "story-1"
