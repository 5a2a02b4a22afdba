import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from service.media_url import MediaUrls
from service.webhook_url import BadToken, RouteToken, SubmissionToken, WebhookUrls

KEYS = ("first-key-of-32-characters-or-so", "second-key-of-32-characters-or-s")
DAY = 86_400


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


def urls(keys=KEYS, versions=None, now=None):
    return WebhookUrls(
        "https://stories.example.com/relay",
        keys,
        30,
        {"all": 1, "promo": 3} if versions is None else versions,
        now or Clock(),
    )


def token(url):
    return url.removeprefix("https://stories.example.com/relay/webhooks/story/")


def refused(reader, text):
    with pytest.raises(BadToken) as caught:
        reader.read(text)
    assert str(caught.value) == str(BadToken())
    assert caught.value.__cause__ is None
    return True


def test_a_submissions_url_names_the_submission():
    url = urls().for_submission("-Ab_9xyz01234567")
    assert url.startswith("https://stories.example.com/relay/webhooks/story/")
    assert urls().read(token(url)) == SubmissionToken("-Ab_9xyz01234567")
    assert len(token(url)) < 100


def test_a_routes_url_names_the_route_and_stays_the_same():
    clock = Clock()
    made = urls(now=clock).for_route("promo")
    clock.at += 3650 * DAY
    assert urls(now=clock).for_route("promo") == made
    assert urls(now=clock).read(token(made)) == RouteToken("promo")


def test_a_submissions_token_ends_after_its_days():
    clock = Clock()
    made = token(urls(now=clock).for_submission("abc"))
    clock.at += 30 * DAY
    assert urls(now=clock).read(made) == SubmissionToken("abc")
    clock.at += 1
    refused(urls(now=clock), made)


def test_a_clock_that_is_a_little_behind_the_signers_does_no_harm():
    clock = Clock()
    made = token(urls(now=clock).for_submission("abc"))
    clock.at -= 5
    assert urls(now=clock).read(made) == SubmissionToken("abc")
    clock.at -= DAY
    refused(urls(now=clock), made)


def test_raising_the_version_revokes_a_routes_token():
    made = token(urls().for_route("promo"))
    refused(urls(versions={"promo": 4}), made)


def test_the_token_of_a_route_that_is_gone_is_refused():
    refused(urls(versions={}), token(urls().for_route("promo")))


def test_a_route_that_does_not_exist_gets_no_url():
    with pytest.raises(KeyError):
        urls().for_route("nothing")


@pytest.mark.parametrize("bad", ["", "a.b", "a/b", "a" * 65, "ä"])
def test_only_plain_ids_get_a_url(bad):
    with pytest.raises(ValueError, match="submission"):
        urls().for_submission(bad)


def test_keys_rotate_the_first_signs_and_all_verify():
    by_old = token(urls(KEYS[1:]).for_submission("abc"))
    route_by_old = token(urls(KEYS[1:]).for_route("all"))
    assert urls().read(by_old) == SubmissionToken("abc")
    assert urls().read(route_by_old) == RouteToken("all")
    refused(urls(KEYS[1:]), token(urls().for_submission("abc")))
    refused(urls(KEYS[:1]), by_old)


def test_there_is_no_signing_without_keys():
    with pytest.raises(ValueError, match="SECRET_KEYS"):
        urls(())


def test_a_token_of_another_purpose_is_refused():
    foreign = TimestampSigner(KEYS[0], salt="other", key_derivation="hmac", digest_method=hashlib.sha256)
    refused(urls(), foreign.sign("s.abc").decode())
    media = MediaUrls("https://x", KEYS).url("a/video.mp4", "video.mp4", 60)
    refused(urls(), media.removeprefix("https://x/media/"))
    submission = token(urls().for_submission("abc"))
    refused(urls(), "r" + submission[1:])


@pytest.mark.parametrize("made", [urls().for_submission("abc"), urls().for_route("all")])
def test_no_single_change_passes(made):
    good = token(made)
    for at in range(len(good)):
        refused(urls(), good[:at])
        refused(urls(), good[:at] + good[at + 1 :])
        for other in "A_-.z0":
            if other != good[at]:
                refused(urls(), good[:at] + other + good[at + 1 :])
    for other in set(string.ascii_letters + string.digits + "-_") - {good[-1]}:
        refused(urls(), good[:-1] + other)  # some of these decode to the same signature
    for extra in ("A", "=", ".", "\n", " ", "%00", "\x00"):
        refused(urls(), good + extra)


@given(st.text() | st.text("srA_-.0", max_size=80) | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_does_more_than_being_refused(text):
    refused(urls(), text)


@pytest.mark.parametrize(
    "text", ["\ud800", "s." + "a" * 100_000, "." * 600, "s.a.b." + "é" * 43, "r..." + "A" * 43]
)
def test_odd_texts_are_refused(text):
    refused(urls(), text)


def test_nothing_of_the_keys_shows():
    assert not any(key in repr(vars(urls())) for key in KEYS)
