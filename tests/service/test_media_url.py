import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.media_url import BadToken, MediaToken, MediaUrls
from service.webhook_url import WebhookUrls

KEYS = ("first-key-of-32-characters-or-so", "second-key-of-32-characters-or-s")


def urls(at=1000.0, keys=KEYS):
    return MediaUrls("https://stories.example.com", keys, lambda: at)


def token(url):
    return url.removeprefix("https://stories.example.com/media/")


def refused(text, at=1000.0, keys=KEYS):
    with pytest.raises(BadToken):
        urls(at, keys).read(text)


@given(st.text(max_size=100), st.text(max_size=50))
def test_a_url_opens_the_file_that_it_was_made_for(key, name):
    url = urls().url(key, name, 60)
    assert url.startswith("https://stories.example.com/media/")
    assert "/" not in token(url)
    assert urls().read(token(url)) == MediaToken(key, name, 1060)


def test_it_ends_when_it_was_said_to():
    made = token(urls().url("a/video.mp4", "video.mp4", 60))
    assert urls(at=1060.0).read(made).expires_at == 1060
    refused(made, at=1061.0)


def test_keys_rotate():
    old = token(urls(keys=KEYS[1:]).url("a", "b", 60))
    assert urls().read(old).key == "a"
    refused(old, keys=KEYS[:1])


def test_what_is_too_long_for_a_url_is_refused_when_made():
    unpackable = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(1000))
    with pytest.raises(ValueError, match="too long"):
        urls().url(unpackable, "video.mp4", 60)


def test_no_single_change_passes():
    good = token(urls().url("a/video.mp4", "video.mp4", 60))
    for at in range(len(good)):
        refused(good[:at])
        for other in "A_-.z0":
            if other != good[at]:
                refused(good[:at] + other + good[at + 1 :])


def test_a_webhooks_token_opens_no_file():
    url = WebhookUrls("https://x", KEYS, 30, {"all": 1}, lambda: 1000.0).for_route("all")
    refused(url.rpartition("/")[2])


@given(st.text() | st.text("sA_-.0", max_size=80))
def test_no_text_does_more_than_being_refused(text):
    refused(text)
