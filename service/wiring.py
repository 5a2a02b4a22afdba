"""Puts the parts together, once a process: settings in, one frozen object out."""

import difflib
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from service.configuration import Configuration, load_configuration
from service.connectors import Connector, ConnectorTools, connector_class
from service.dispatching import Dispatcher
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.intake import Intake
from service.job_queue import JobQueue, fast_connection
from service.ledger import Ledger
from service.media_url import MediaUrls
from service.outbound_http import AddressGuard, HttpClient
from service.problems import Problem
from service.settings import Settings, SettingsError, load_settings
from service.story_api import StoryApi
from service.video_store import ObjectStore, open_store
from service.webhook_url import WebhookUrls

Stop = Callable[[], str | None]
"""Says why a transfer has to stop, None while it may go on."""


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)


class UnknownDestination(LookupError):
    """The configuration has no destination of that name; the message names the nearest."""


@dataclass(frozen=True)
class Relay:
    """All that the commands, the web and the handlers work with."""

    settings: Settings
    configuration: Configuration
    ledger: Ledger
    queue: JobQueue
    dispatcher: Dispatcher
    webhook_urls: WebhookUrls
    media_urls: MediaUrls
    now: Callable[[], datetime]

    @property
    def intake(self) -> Intake:
        """Takes webhooks in."""
        return Intake(self.ledger, self.now)

    def story_api(self, stop: Stop | None = None) -> StoryApi:
        """The Story API with the operator's key."""
        return StoryApi(
            url=self.settings.story_api_url,
            key=self.settings.story_api_key.get_secret_value(),
            http=HttpClient(stop=stop),
        )

    def own_http(self, stop: Stop | None = None) -> HttpClient:
        """Outbound HTTP to addresses that the operator set."""
        return HttpClient(stop=stop)

    def untrusted_http(self, stop: Stop | None = None) -> HttpClient:
        """Outbound HTTP to addresses that came from a story: private networks are refused."""
        return HttpClient(guard=AddressGuard(allow=self.configuration.outbound_allow), stop=stop)

    def video_store(self) -> ObjectStore:
        """The store of videos, posters and captions."""
        return open_store(self.settings.video_store, base=self.settings.home)

    def connector(self, destination: str, stop: Stop | None = None) -> Connector:
        """The connector of a configured destination, ready for one step. Raises UnknownDestination."""
        config = self.configuration.destinations.get(destination)
        if config is None:
            near = difflib.get_close_matches(destination, self.configuration.destinations, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise UnknownDestination(
                f"there is no destination {destination!r} in {self.settings.config_path}{hint}"
            )
        tools = ConnectorTools(
            destination=destination, http=self.own_http(stop), base=self.config_folder, now=self.now
        )
        return connector_class(config.connector)(config.options, tools)

    def fingerprint(self, lane: Lane) -> str | None:
        """What changes when the settings that a lane depends on do; holds no secret."""
        if lane.kind == StepKind.FETCH:
            return _fingerprint(self.settings)
        destination = self.configuration.destinations.get(lane.destination)
        return destination.fingerprint if destination is not None else None

    @property
    def config_folder(self) -> Path:
        """What relative paths in storyrelay.toml are relative to."""
        return self.settings.config_path.parent


def open_relay(
    env: Mapping[str, str] | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
    queue_timeout: float = 2.0,
) -> Relay:
    """Reads settings and configuration and opens nothing yet: connections are made at first use.

    `queue_timeout`: seconds after which the queue counts as down.
    Raises SettingsError, ConfigurationError.
    """
    settings = load_settings(env)
    if not settings.redis_url:
        raise SettingsError(
            [Problem("REDIS_URL", "is not set: start `storyrelay up`, or set it to your queue")]
        )
    configuration = load_configuration(settings)
    ledger = Ledger(settings.database_url, pool_size=settings.web_threads + 2)
    queue = JobQueue(fast_connection(settings.redis_url, timeout=queue_timeout))
    return Relay(
        settings=settings,
        configuration=configuration,
        ledger=ledger,
        queue=queue,
        dispatcher=Dispatcher(ledger, queue, settings, configuration, now),
        webhook_urls=_webhook_urls(settings, configuration),
        media_urls=MediaUrls(settings.public_url, _keys(settings)),
        now=now,
    )


def _fingerprint(settings: Settings) -> str:
    key = settings.secret_keys[0].get_secret_value().encode()
    facts = f"{settings.story_api_url}\n{settings.story_api_key.get_secret_value()}"
    return hmac.new(key, facts.encode(), hashlib.sha256).hexdigest()


def _webhook_urls(settings: Settings, configuration: Configuration) -> WebhookUrls:
    return WebhookUrls(
        public_url=settings.public_url,
        keys=_keys(settings),
        submission_days=settings.submission_token_days,
        route_versions={route.name: route.token_version for route in configuration.routes},
    )


def _keys(settings: Settings) -> tuple[SecretStr, ...]:
    if not settings.secret_keys:
        problem = "is not set: `storyrelay up` makes one, or set it to a random text of 32 characters"
        raise SettingsError([Problem("SECRET_KEYS", problem)])
    return settings.secret_keys
