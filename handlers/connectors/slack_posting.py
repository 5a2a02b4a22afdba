"""How far the publication of one story in a channel has come; kept as the step's reference."""

from dataclasses import asdict, dataclass, fields

from service.domain.delivery import Publication, Reference


@dataclass(frozen=True)
class Posting:
    """`ts` is the message's id once it is known, `written` says that it shows this revision.

    `asked_at` (seconds since 1970) is set while nobody knows whether the message was posted, `shared_at` alike
    for the video in its thread. `poster` and `video` are ids of uploaded files, `files` all of this story.
    """

    message_id: str
    channel: str | None = None
    ts: str | None = None
    written: bool = False
    asked_at: float | None = None
    poster: str | None = None
    video: str | None = None
    shared_at: float | None = None
    shared: bool = False
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, publication: Publication) -> "Posting":
        """What earlier attempts left. A revision takes over the message of the one before, a repeat does not."""
        reference, message_id = publication.reference, publication.message_id
        files = tuple(reference.get("files") or ())
        if reference.get("message_id") == message_id:
            known = {one.name for one in fields(cls)} & reference.keys()
            return cls(**{name: reference[name] for name in known} | {"files": files})
        channel = reference.get("channel")
        if publication.repeat:
            return cls(message_id, channel=channel, files=files)
        # one that is not known to be posted may be of its progress: then it is looked for
        asked_at = reference.get("asked_at") if reference.get("ts") is None else None
        return cls(message_id, channel=channel, ts=reference.get("ts"), asked_at=asked_at, files=files)

    @property
    def reference(self) -> Reference:
        """All of it, as JSON values."""
        return asdict(self) | {"files": list(self.files)}
