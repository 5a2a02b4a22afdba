"""What `doctor` asks of others: the Story API and each destination."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from service.cli.findings import Finding, fail, ok, warn
from service.domain.delivery import DeliveryFailed
from service.story_api import InsufficientCredit, LimitReached, StoryApiError
from service.wiring import Relay

AT_ONCE = 8
"""Destinations that are asked at the same time: one that is down takes its whole timeout."""


def check_story_api(relay: Relay) -> Iterator[Finding]:
    """The Story API answers and knows our key."""
    settings = relay.settings
    if not settings.story_api_key.get_secret_value():
        yield fail(
            "story api",
            "STORY_API_KEY is not set",
            "take it from the provider's console (or run the emulator)",
        )
        return
    try:
        relay.story_api().check_key()
    except (InsufficientCredit, LimitReached) as error:
        yield warn("story api", str(error), "top up, or wait")
    except StoryApiError as error:
        yield fail("story api", str(error), "check STORY_API_URL and STORY_API_KEY")
    else:
        yield ok("story api", f"{settings.story_api_url} knows our key")


def check_destinations(relay: Relay) -> Iterator[Finding]:
    """Each destination's login."""
    names = sorted(relay.configuration.destinations)
    if not names:
        yield warn(
            "destinations",
            "none is configured, so that finished stories go nowhere",
            f"add destinations and routes to {relay.settings.config_path}",
        )
        return
    if not relay.configuration.routes:
        yield warn(
            "routes",
            "there is none, so that finished stories go nowhere",
            f"add one to {relay.settings.config_path}",
        )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda name: _destination(relay, name), names)


def _destination(relay: Relay, name: str) -> Finding:
    part = f"destination {name}"
    try:
        return ok(part, relay.connector(name).check())
    except DeliveryFailed as error:
        return fail(
            part, str(error), f"mend it in {relay.settings.config_path}, then: storyrelay send-test {name}"
        )
    except (ValueError, OSError) as error:  # a template or a path that the options name
        return fail(part, str(error), f"mend it in {relay.settings.config_path}")
