"""Puts the parts together, once a process: settings in, one frozen object out."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from service.approval_url import ApprovalUrls
from service.configuration import Configuration, load_configuration, try_connectors
from service.configured_secrets import configured_secrets
from service.connectors import Connector, ConnectorTools, connector_class, default_rate, shows_progress
from service.dispatching import Dispatcher
from service.domain.people import Doer
from service.domain.rates import Rate
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.intake import Intake
from service.job_queue import JobQueue, NoQueue, fast_connection
from service.ledger import Ledger
from service.ledger.meter import Meter
from service.media_url import MediaUrls
from service.outbound_http import AddressGuard, HttpClient
from service.pacing import Pacer
from service.problems import Problem
from service.pruning import Pruning
from service.redaction import conceal
from service.settings import Settings, SettingsError, load_settings
from service.setup_url import SetupUrls
from service.story_account import StoryAccount
from service.story_actions import StoryActions
from service.story_api import StoryApi
from service.submission import Submission
from service.video_store import ObjectStore, open_store
from service.webhook_url import WebhookUrls

Stop = Callable[[], str | None]
"""Says why a transfer has to stop, None while it may go on."""

Sent = Callable[[int, int], None]
"""Is told how many bytes of how many an upload has sent."""


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
    pacer: Pacer = Pacer()  # noqa: RUF009  frozen, and it holds nothing
    meter: Meter = field(default_factory=Meter, compare=False)

    @property
    def intake(self) -> Intake:
        """Takes webhooks in."""
        return Intake(self.ledger, self.now)

    def story_actions(self, by: Doer) -> StoryActions:
        """What people may do with a story; `by` is who does it, for the audit log."""
        return StoryActions(
            self.ledger,
            self.settings,
            self.configuration,
            self.dispatcher,
            self.story_api,
            self.video_store,
            self.webhook_urls,
            self.now,
            by,
        )

    def submission(
        self, stop: Stop | None = None, beside: Callable[[Any, int], None] | None = None
    ) -> Submission:
        """Asks the Story API for videos, and adopts stories. `beside` as in `Submission`. Raises SettingsError."""
        return Submission(
            self.ledger,
            self.settings,
            self.webhook_urls,
            self.story_api(stop),
            self.now,
            beside,
            watched=self.shows_any_progress,
            account=self.story_account,
        )

    @property
    def story_account(self) -> StoryAccount:
        """Hears how the Story API takes our key and our credits."""
        return StoryAccount(self.configuration)

    @property
    def pruning(self) -> Pruning:
        """Deletes what has been kept for long enough, and what people want forgotten."""
        return Pruning(self.ledger, self.settings, self.video_store, self.now)

    @property
    def setup_urls(self) -> SetupUrls:
        """Makes and reads the address by which the first account of the dashboard is made. Raises SettingsError."""
        keys = [key.get_secret_value() for key in self.settings.secret_keys]
        if not keys:
            raise _no_keys()
        return SetupUrls(self.settings.public_url, keys, lambda: self.now().timestamp())

    @property
    def approval_urls(self) -> ApprovalUrls:
        """Makes and reads what answers to questions are known by. Raises SettingsError."""
        keys = [key.get_secret_value() for key in self.settings.secret_keys]
        if not keys:
            raise _no_keys()
        return ApprovalUrls(self.settings.public_url, keys)

    def story_api(self, stop: Stop | None = None) -> StoryApi:
        """The Story API with the operator's key."""
        return StoryApi(
            url=self.settings.story_api_url,
            key=self.settings.story_api_key.get_secret_value(),
            http=HttpClient(stop=stop),
            told=partial(self.meter.count, "api_calls"),
        )

    def own_http(self, stop: Stop | None = None, sent: Sent | None = None) -> HttpClient:
        """Outbound HTTP to addresses that the operator set."""
        return HttpClient(stop=stop, sent=sent)

    def untrusted_http(self, stop: Stop | None = None) -> HttpClient:
        """Outbound HTTP to addresses that came from a story: private networks are refused."""
        return HttpClient(guard=AddressGuard(allow=self.configuration.outbound_allow), stop=stop)

    def video_store(self) -> ObjectStore:
        """The store of videos, posters and captions."""
        return _store(self.settings.video_store, self.settings.home / "var", os.getpid())

    def connector(self, destination: str, stop: Stop | None = None, sent: Sent | None = None) -> Connector:
        """The connector of a configured destination, ready for one step. Raises UnknownDestination."""
        config = self.configuration.destinations.get(destination)
        if config is None:
            raise self._unknown(destination)
        tools = ConnectorTools(
            destination=destination, http=self.own_http(stop, sent), base=self.config_folder, now=self.now
        )
        rate = self.rate(destination)
        if rate is not None:
            tools = replace(tools, pace=self.pacer.pace(destination, rate))
        return connector_class(config.connector)(config.options, tools)

    def rate(self, destination: str) -> Rate | None:
        """How often the destination may be called: as configured, else as its connector says."""
        config = self.configuration.destinations.get(destination)
        if config is None:
            return None
        return config.rate or default_rate(connector_class(config.connector))

    def shows_progress(self, destination: str) -> bool:
        """Whether the destination is asked to show how stories get on."""
        config = self.configuration.destinations.get(destination)
        return config is not None and shows_progress(connector_class(config.connector), config.options)

    @property
    def shows_any_progress(self) -> bool:
        """Whether any destination is."""
        return any(map(self.shows_progress, self.configuration.destinations))

    def fingerprint(self, lane: Lane) -> str | None:
        """What changes when the settings that a lane depends on do; holds no secret."""
        if lane.kind == StepKind.FETCH:
            return self.settings.api_fingerprint
        destination = self.configuration.destinations.get(lane.destination)
        return destination.fingerprint if destination is not None else None

    @property
    def config_folder(self) -> Path:
        """What relative paths in storyrelay.toml are relative to."""
        return self.settings.config_path.parent

    def _unknown(self, destination: str) -> UnknownDestination:
        near = difflib.get_close_matches(destination, self.configuration.destinations, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return UnknownDestination(
            f"there is no destination {destination[:80]!r} in {self.settings.config_path}{hint}; "
            f"there are {', '.join(sorted(self.configuration.destinations)) or 'none'}"
        )


def open_relay(
    env: Mapping[str, str] | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
    queue_timeout: float = 2.0,
    serves: bool = True,
    reads_ledger: bool = True,
) -> Relay:
    """Reads settings and configuration and opens nothing yet: connections are made at first use.

    `queue_timeout`: seconds after which the queue counts as down. `serves`: this process can't do without
    queue and keys; a command (False) leaves enqueueing to the sweep, and fails only where it has to sign.
    Without `reads_ledger` it gets an empty ledger in memory, so that it runs where there is none.
    Raises SettingsError, ConfigurationError.
    """
    settings = queue_settings(env)
    if not reads_ledger:
        settings = settings.model_copy(update={"database_url": "sqlite://"})
    if serves and settings.redis_url is None:
        raise _not_set("REDIS_URL", "start `storyrelay up`, or set it to your queue")
    if serves and not settings.secret_keys:
        raise _no_keys()
    configuration = load_configuration(settings, env)
    if serves:  # a command that reads the ledger works beside a template that somebody is just mending
        try_connectors(configuration, settings.config_path)
    return assemble(settings, configuration, now=now, queue_timeout=queue_timeout)


def assemble(
    settings: Settings,
    configuration: Configuration,
    *,
    now: Callable[[], datetime] = utc_now,
    queue_timeout: float = 2.0,
) -> Relay:
    """Puts a relay together from what was read; see `open_relay`. Logs and errors conceal its secrets from then on."""
    conceal(configured_secrets(settings, configuration))
    ledger = Ledger(settings.database_url, pool_size=settings.web_threads + 2)
    address = settings.redis_url
    connection = fast_connection(address, timeout=queue_timeout) if address else None
    queue = JobQueue(connection) if connection is not None else NoQueue()
    webhook_urls, media_urls = _signed_urls(settings, configuration)
    return Relay(
        settings=settings,
        configuration=configuration,
        ledger=ledger,
        queue=queue,
        dispatcher=Dispatcher(ledger, queue, settings, configuration, now),
        webhook_urls=webhook_urls,
        media_urls=media_urls,
        now=now,
        pacer=Pacer(connection),
    )


def queue_settings(env: Mapping[str, str] | None = None) -> Settings:
    """The settings, with the address of the queue that `up` runs where none is set. Raises SettingsError."""
    settings = load_settings(env)
    if settings.redis_url is not None:
        return settings
    path = settings.home / "var" / "redis_url"
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return settings
    except (OSError, UnicodeDecodeError) as error:
        raise _not_set("REDIS_URL", f"and {path} can't be read ({error})") from error
    return load_settings({**(os.environ if env is None else env), "REDIS_URL": kept})


class _NoKeys:
    """Stands where addresses are signed and read: any use says that the keys are missing."""

    def __getattr__(self, name: str) -> None:
        raise _no_keys()


def _signed_urls(settings: Settings, configuration: Configuration) -> tuple[WebhookUrls, MediaUrls]:
    keys = tuple(key.get_secret_value() for key in settings.secret_keys)
    if not keys:
        return cast("WebhookUrls", _NoKeys()), cast("MediaUrls", _NoKeys())
    versions = {route.name: route.token_version for route in configuration.routes}
    webhook_urls = WebhookUrls(settings.public_url, keys, settings.submission_token_days, versions)
    return webhook_urls, MediaUrls(settings.public_url, keys)


def _no_keys() -> SettingsError:
    return _not_set("SECRET_KEYS", "`storyrelay up` makes one, or set it to a random text of 32 characters")


def _not_set(variable: str, advice: str) -> SettingsError:
    return SettingsError(f"wrong settings:\n  {Problem(variable, f'is not set: {advice}')}")


@lru_cache(maxsize=8)
def _store(location: str, base: Path, _process: int) -> ObjectStore:
    # one for each process: it keeps its connections, and an object store's do not survive a fork
    return open_store(location, base=base)
