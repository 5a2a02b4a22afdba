"""What doctor says of who hears of trouble."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from service.cli.findings import Status
from service.cli.notice_checks import check_notices
from service.configuration import Configuration, DestinationConfig
from service.domain.notices import Audience, Digest, Quiet
from service.domain.opening_hours import Hours, OpeningHours

BERLIN = ZoneInfo("Europe/Berlin")


class Options(BaseModel):
    """None."""


PLACES = {name: DestinationConfig(name, "archive", Options()) for name in ("team", "desk", "boss")}
NIGHT = Quiet(OpeningHours(BERLIN, hours=(Hours(22 * 60, 7 * 60),)), frozenset({"key_refused"}))


@pytest.mark.parametrize(
    ("audience", "said"),
    [
        (Audience(("team",)), "team is told of all kinds of trouble; of one kind once in 1 hour"),
        (
            Audience(
                ("team", "desk"), "boss", None, {"desk": frozenset({"disk_low", "key_refused"})}, quiet=NIGHT
            ),
            "team is told of all kinds of trouble, desk is told of disk_low and key_refused, boss of what can't be "
            "told there; of each by itself; not within 22:00-07:00 in Europe/Berlin, but for key_refused",
        ),
    ],
)
def test_it_says_in_words_who_hears_what_and_when(audience: Audience, said: str) -> None:
    (finding,) = check_notices(Configuration(destinations=PLACES, notices=audience))
    assert (finding.status, finding.text) == (Status.OK, said)


def test_the_digest_has_a_line_of_its_own() -> None:
    digest = Digest(time(8), BERLIN, ("desk", "boss"), says_nothing_happened=False)
    _, finding = check_notices(Configuration(destinations=PLACES, notices=Audience(("team",), digest=digest)))
    assert (
        finding.text
        == "daily at 08:00 in Europe/Berlin, to desk and boss, of the day before, but of no empty day"
    )


def test_nobody_is_a_warning_with_the_mend() -> None:
    (finding,) = check_notices(Configuration(destinations=PLACES))
    assert finding.status == Status.WARN
    assert "[notices] destinations" in finding.advice


def test_places_that_have_readers_only_are_named_once_each() -> None:
    blogs = {
        name: DestinationConfig(name, name, Options())
        for name in ("ghost", "wordpress", "strapi", "directus")
    }
    digest = Digest(time(8), BERLIN, ("strapi", "directus", "ghost"), says_nothing_happened=True)
    audience = Audience(("team", "ghost"), "wordpress", digest=digest)
    found = list(check_notices(Configuration(destinations=PLACES | blogs, notices=audience)))
    wrong = [finding.text.split(" ")[0] for finding in found if finding.status == Status.WARN]
    assert wrong == ["ghost", "wordpress", "strapi", "directus"]
