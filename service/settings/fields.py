"""Every setting: its variable, default, bounds and meaning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasGenerator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.redaction import redact
from service.settings import values
from service.settings.values import Count, Days, Keep, KeepTwoDays, Rate, Schedule, Seconds, Share, Size
from service.signing import fingerprint

STABLE = frozenset(
    {"database_url", "redis_url", "story_api_url", "story_api_key", "secret_keys", "port", "public_url"}
    | {"video_store", "sentry_dsn", "sentry_environment", "trusted_proxies", "web_concurrency"}
    | {"metrics_allow", "metrics_token", "ping_url"}
)
"""Fields whose variables carry no prefix: people script against them, and platforms set some."""

PREFIX = "STORYRELAY_"


def variable(field: str) -> str:
    """The environment variable of a field."""
    name = field.removesuffix("_path").upper()
    return name if field in STABLE else PREFIX + name


class Settings(BaseSettings):
    """What can be set by environment variables; made by `load_settings`. Durations are in seconds."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        validate_default=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        alias_generator=AliasGenerator(validation_alias=variable),
    )

    home: values.Folder = Field(
        default_factory=Path.cwd,
        description="Folder of `var/` and `storyrelay.toml`; default: the current one.",
    )
    config_path: Path = Field(Path("storyrelay.toml"), description="File with destinations and routes.")
    database_url: str = Field(
        "sqlite:///var/ledger.sqlite3", repr=False, description="The ledger: SQLite or PostgreSQL."
    )
    redis_url: values.RedisUrl | None = Field(
        None, repr=False, description="The queue server; unset: `storyrelay up` runs its own."
    )
    story_api_url: values.WebAddress = Field("https://api.vimmerse.net", description="The Story API.")
    story_api_key: values.ApiKey = Field(SecretStr(""), description="Key of the Story API.")
    secret_keys: values.SecretKeys = Field(
        (),
        description="Keys that sign our URLs, comma-separated, each of 16 characters or more: the first signs, "
        "all verify. Unset: `var/secret_keys`, which `storyrelay up` makes.",
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8000, description="Port of the web process.")
    public_url: values.WebAddress = Field(
        default_factory=lambda made: f"http://127.0.0.1:{made['port']}",
        description="Where others reach the web process; default: `http://127.0.0.1:$PORT`.",
    )
    video_store: str = Field(
        "var/videos",
        repr=False,
        description="Where videos are kept: a folder, `file:///…` or `s3://bucket/prefix`.",
    )
    sentry_dsn: values.SentryDsn | None = Field(None, repr=False, description="Where errors are reported.")
    ping_url: SecretStr = Field(
        SecretStr(""), description="Called each minute while the scheduler runs well."
    )
    sentry_environment: Annotated[str, Field(pattern=r"^[^\s/]{1,64}$")] = Field(
        "production", description="The environment that these reports name."
    )
    metrics_allow: values.Networks = Field(
        values.LOOPBACK, description="Addresses and networks that may read `/metrics`, comma-separated …"
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="… and a bearer token with which anybody may; unset: none."
    )
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="How many reverse proxies stand before the web process."
    )
    web_concurrency: Annotated[int, Field(ge=1, le=256)] = Field(2, description="Processes of gunicorn.")

    retry_schedule: Schedule = Field(
        (5, 300, 1800, 7200, 18000, 36000, 36000), description="Seconds before each retry of a failed step."
    )
    retry_jitter: Share = Field(0.2, description="Share by which each of these varies.")
    retry_after_max: Seconds = Field(3600, description="Longest `Retry-After` that is honoured.")
    lease_seconds: Seconds = Field(60, description="A step whose worker is silent for so long starts again.")
    lease_renewal_seconds: Seconds = Field(15, description="How often a worker says that it is alive.")
    sweep_seconds: Seconds = Field(2, description="How often the scheduler looks for steps that are due.")
    requeue_seconds: Seconds = Field(60, description="A step that is queued for so long is queued again.")
    queue_limit: Count = Field(200, description="Most steps in one queue at a time.")
    max_in_flight: Count = Field(4, description="Most deliveries to one destination at a time.")
    stop_grace_seconds: Seconds = Field(20, description="What a running step may take to end on SIGTERM.")
    step_timeout_seconds: Seconds = Field(21600, description="Longest run of one attempt.")

    not_ready_schedule: Schedule = Field(
        (2, 5, 10, 20, 30), description="Seconds between looks at a finished story that has no video yet."
    )
    not_found_schedule: Schedule = Field(
        (120, 480), description="Seconds between tries of an unknown story id."
    )
    poll_first_seconds: Seconds | None = Field(
        None, description="First poll of a silent story; unset: estimated from its length."
    )
    poll_min_seconds: Seconds = Field(30, description="Shortest time between polls of one story.")
    poll_max_seconds: Seconds = Field(900, description="Longest time between polls of one story.")
    poll_give_up_seconds: Seconds = Field(259200, description="Age at which a silent story is given up.")
    poll_rate: Rate = Field(2, description="Polls of the Story API a second, of all stories together.")
    poll_batch: Count = Field(20, description="Most stories that are polled in one go.")
    unconfirmed_notice_seconds: Seconds = Field(
        3600, description="Age at which a submission that got no answer becomes a notice."
    )
    queue_old_seconds: Seconds = Field(900, description="Work that is due for so long becomes a notice.")
    least_free_bytes: Size = Field(
        2**30,
        description="Room that the folders of an SQLite ledger and of `var/` need; less becomes a notice.",
    )
    credits_budget: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        None, description="Credits that you mean to spend in a calendar month (UTC); unset: not watched."
    )
    credits_notice_share: Annotated[Share, Field(gt=0)] = Field(
        0.8, description="Share of these that becomes a notice, before all of them do."
    )
    missed_webhook_share: Share = Field(0.5, description="Share of missed webhooks that becomes a notice.")

    keep_bodies_days: Keep = Field(30, description="Days that webhooks' bodies are kept; `off`: for ever.")
    keep_snapshots_days: Keep = Field(
        180, description="… the Story API's last answer, since a story's last change."
    )
    keep_videos_days: Keep = Field(
        None, description="… videos, posters and captions; unset: for ever. Links to them end with them."
    )
    keep_stories_days: Keep = Field(
        None, description="… whole stories with all that belongs to them; unset: for ever."
    )
    keep_receipts_days: Keep = Field(365, description="… what else webhooks left.")
    keep_attempts_days: Keep = Field(365, description="… how each attempt went.")
    keep_notices_days: KeepTwoDays = Field(
        365, description="… notices, two days at least: by them the daily digest knows that it was sent."
    )
    keep_audit_days: Keep = Field(730, description="… lines of the audit log.")

    submission_token_days: Days = Field(30, description="How long a submission's webhook URL is good.")
    media_token_days: Days = Field(30, description="How long media links in messages are good.")
    webhook_body_limit: Size = Field(65536, description="Largest webhook, in bytes.")
    webhook_rate: Rate = Field(20, description="Webhooks a second that one token may bring.")

    max_video_bytes: Size = Field(2 * 2**30, description="Largest video; `2GiB` can be written as well.")
    max_video_seconds: Seconds = Field(21600, description="Longest video.")
    download_min_rate: Rate = Field(10000, description="Slowest download, in bytes a second …")
    download_rate_window: Seconds = Field(60, description="… over so many seconds.")
    download_fresh_urls: Count = Field(3, description="How often an expired video URL is asked for anew.")

    circuit_share: Annotated[Share, Field(gt=0)] = Field(
        0.7, description="Share of failed tries that closes a destination off …"
    )
    circuit_tries: Count = Field(10, description="… of at least so many …")
    circuit_window_seconds: Seconds = Field(300, description="… within this time.")
    circuit_first_probe_seconds: Seconds = Field(30, description="First try of a closed-off destination.")
    circuit_max_probe_seconds: Seconds = Field(900, description="Longest time between these, which doubles.")
    circuit_off_seconds: Seconds = Field(86400, description="Time after which it is switched off.")
    pause_probe_seconds: Seconds = Field(900, description="Next try after a refused login or key.")

    workers_fetch: Count = Field(1, description="Workers that ask the Story API.")
    workers_download: Count = Field(2, description="Workers that download.")
    workers_deliver: Count = Field(
        6,
        description="Workers that publish; more than `MAX_IN_FLIGHT`, or one slow place holds up the others.",
    )
    workers_notify: Count = Field(1, description="Workers that send notices.")
    web_threads: Count = Field(16, description="Threads of each web process …")
    media_threads: Count = Field(2, description="… of which so many may serve files; fewer than all.")
    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for programs.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(values.lower_case)] = (
        Field("info", description="Least level that is logged.")
    )

    @property
    def config_path_is_set(self) -> bool:
        """Whether somebody named the configuration file, so that it has to be there."""
        return "config_path" in self.model_fields_set

    @property
    def secret_keys_file(self) -> Path:
        """Where `storyrelay up` keeps the keys that it made."""
        return values.secret_keys_file(self.home)

    @property
    def api_fingerprint(self) -> str:
        """Changes when the Story API's address or key does; tells nothing about the key."""
        return fingerprint(self.secret_keys, "story-api", self.story_api_url, self.story_api_key)

    @field_validator("config_path")
    @classmethod
    def _config_from_home(cls, value: Path, info: ValidationInfo) -> Path:
        return _home(info) / value

    @field_validator("database_url")
    @classmethod
    def _database_from_home(cls, value: str, info: ValidationInfo) -> str:
        return values.database_url(value, _home(info))

    @field_validator("video_store")
    @classmethod
    def _store_from_home(cls, value: str, info: ValidationInfo) -> str:
        return values.video_store(value, _home(info))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        wrong = [
            f"{variable(lesser)} must be {'below' if strictly else 'at most'} {variable(greater)}"
            for lesser, greater, strictly in _ORDERED
            if getattr(self, lesser) > getattr(self, greater)
            or (strictly and getattr(self, lesser) == getattr(self, greater))
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redact(value) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes it
        init_settings: PydanticBaseSettingsSource,
        *_others: Any,
        **_ambient: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing is read behind the caller's back: `load_settings` says which environment counts."""
        return (init_settings,)


_ORDERED = (
    ("lease_renewal_seconds", "lease_seconds", True),
    ("media_threads", "web_threads", True),
    ("poll_min_seconds", "poll_max_seconds", False),
    ("circuit_first_probe_seconds", "circuit_max_probe_seconds", False),
)


def _home(info: ValidationInfo) -> Path:
    # a wrong home is a problem of its own; the others are still worth telling
    home: Path = info.data.get("home", Path.cwd())
    return home
