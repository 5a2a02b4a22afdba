"""What became of each recipient of a mail, attempt after attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from handlers.connectors.smtp_replies import Reply
from service.domain.delivery import DeliveryFailed, Publication, Published, Reference


@dataclass(frozen=True)
class Outcome:
    """What became of a message so far, by recipient: who has it, and who was refused for good or for now."""

    message_id: str = ""
    sent: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    deferred: Mapping[str, Reply] = field(default_factory=dict)

    @classmethod
    def of(cls, publication: Publication) -> "Outcome":
        """What earlier attempts at this message saved."""
        reference, message_id = publication.reference, publication.message_id
        if reference.get("message_id") != message_id:
            return cls(message_id)
        return cls(message_id, tuple(reference.get("sent") or ()), dict(reference.get("refused") or {}))

    def reference(self) -> Reference:
        """What to remember for the next attempt."""
        return {"message_id": self.message_id, "sent": list(self.sent), "refused": dict(self.refused)}

    def remaining(self, everyone: Sequence[str]) -> tuple[str, ...]:
        """Who has neither got it nor been refused for good."""
        return tuple(one for one in everyone if one not in self.sent and one not in self.refused)

    def then(self, later: "Outcome") -> "Outcome":
        """The outcome after one more attempt."""
        sent, refused = (*self.sent, *later.sent), {**self.refused, **later.refused}
        return Outcome(self.message_id, sent, refused, later.deferred)

    def published(self, everyone: Sequence[str], *remarks: str) -> Published:
        """The result when it is one. Raises DeliveryFailed while some are deferred, or when nobody took it."""
        if self.deferred:
            raise self._not_yet(everyone)
        if not self.sent:
            raise DeliveryFailed(f"every recipient was refused: {_said(self.refused)}", permanent=True)
        refused = f"refused: {_said(self.refused)}" if self.refused else ""
        told = "; ".join(part for part in (f"sent to {len(self.sent)}", refused, *remarks) if part)
        return Published(remark=told, reference=self.reference())

    def _not_yet(self, everyone: Sequence[str]) -> DeliveryFailed:
        others = f"; {len(self.sent)} of {len(everyone)} have it" if self.sent else ""
        # a named wait holds up the whole destination: not for one recipient of many
        waits = [] if self.sent else [reply.wait for reply in self.deferred.values()]
        wait = max((one for one in waits if one is not None), default=None)
        return DeliveryFailed(f"not taken for now: {_said(self.deferred)}{others}", retry_after=wait)


def _said(replies: Mapping[str, object]) -> str:
    return ", ".join(f"{one} ({reply})" for one, reply in sorted(replies.items()))
