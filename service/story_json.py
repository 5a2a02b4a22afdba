"""Stories, steps, attempts and receipts as programs read them: stable keys, ISO 8601 times."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.ledger.approvals import ApprovalRow
from service.ledger.dossier import Dossier
from service.ledger.notices import NoticeRow
from service.ledger.receipts import ReceiptRow
from service.ledger.reports import AttemptRow, StepRow
from service.ledger.stories import StoryRow, VideoRow
from service.ledger.troubles import TroubleRow

LONGEST_BODY = 2000


def iso(at: datetime | None) -> str | None:
    """A time for programs: ISO 8601 with its offset."""
    return at.isoformat() if at is not None else None


def story_json(row: StoryRow) -> dict[str, Any]:
    """One story; `id` is the Story API's, null while it is not known."""
    return {
        "id": row.story_id,
        "submission_id": row.submission_id,
        "state": row.state,
        "title": row.title,
        "kind": row.kind or None,
        "origin": row.origin,
        "route": row.route,
        "labels": dict(row.labels),
        "message": row.message,
        "api_status": row.api_status,
        "progress": row.progress,
        "revision": row.revision,
        "noticed_by": row.noticed_by,
        "polls": row.polls,
        "estimated_credits": row.estimated_credits,
        "used_credits": row.used_credits,
        "created_at": iso(row.created_at),
        "webhook_at": iso(row.webhook_at),
        "finished_at": iso(row.finished_at),
        "settled_at": iso(row.settled_at),
        "next_poll_at": iso(row.next_poll_at),
    }


def step_json(step: StepRow) -> dict[str, Any]:
    """One step."""
    return {
        "kind": step.kind,
        "destination": step.destination or None,
        "revision": step.revision,
        "route": step.route or None,
        "state": step.state,
        "intent": step.intent,
        "instead_of": step.instead_of,
        "waiting_for": step.waiting_for,
        "attempts": step.attempts,
        "repeats": step.repeat,
        "url": step.url,
        "remark": step.remark,
        "last_error": step.last_error,
        "next_at": iso(step.next_at),
        "ended_at": iso(step.ended_at),
    }


def attempt_json(attempt: AttemptRow) -> dict[str, Any]:
    """One attempt."""
    return {
        "kind": attempt.kind,
        "destination": attempt.destination or None,
        "outcome": attempt.outcome,
        "detail": attempt.detail,
        "started_at": iso(attempt.started_at),
        "ended_at": iso(attempt.ended_at),
    }


def receipt_json(receipt: ReceiptRow) -> dict[str, Any]:
    """One receipt; its body as text, cut."""
    return {
        "verdict": receipt.verdict,
        "token": receipt.token,
        "claimed_id": receipt.claimed_id,
        "claimed_status": receipt.claimed_status,
        "content_type": receipt.content_type,
        "remote": receipt.remote,
        "body": receipt.body[:LONGEST_BODY].decode("utf-8", "replace"),
        "received_at": iso(receipt.received_at),
    }


def notice_json(notice: NoticeRow) -> dict[str, Any]:
    """One notice."""
    return {
        "kind": notice.kind,
        "title": notice.title,
        "text": notice.text,
        "created_at": iso(notice.created_at),
    }


def trouble_json(row: TroubleRow) -> dict[str, Any]:
    """One trouble that lasts, or lasted."""
    return {
        "kind": row.kind,
        "about": row.about,
        "title": row.title,
        "text": row.text,
        "opened_at": iso(row.opened_at),
        "resolved_at": iso(row.resolved_at),
    }


def approval_json(row: ApprovalRow) -> dict[str, Any]:
    """One question to people."""
    return {
        "id": row.id,
        "revision": row.revision,
        "route": row.route,
        "destination": row.destination,
        "state": row.state,
        "asked_at": iso(row.asked_at),
        "reminded_at": iso(row.reminded_at),
        "expires_at": iso(row.expires_at),
        "decided_by": row.decided_by,
        "decided_through": row.decided_through,
        "decided_at": iso(row.decided_at),
        "note": row.note,
    }


def dossier_json(dossier: Dossier, files: Sequence[Mapping[str, str | None]]) -> dict[str, Any]:
    """All of one story; `files` are those of its video, each with its name and where it can be had."""
    events = [
        {"at": iso(event.at), "what": event.what, "outcome": event.outcome or None, "text": event.text}
        for event in dossier.events
    ]
    return {
        "story": story_json(dossier.story),
        "timeline": events,
        "destinations": [step_json(step) for step in dossier.deliveries],
        "video": None if dossier.video is None else video_json(dossier.video, files),
        "steps": [step_json(step) for step in dossier.steps],
        "attempts": [attempt_json(attempt) for attempt in dossier.attempts],
        "receipts": [receipt_json(receipt) for receipt in dossier.receipts],
        "notices": [notice_json(notice) for notice in dossier.notices],
        "approvals": [approval_json(each) for each in dossier.approvals],
    }


def video_json(video: VideoRow, files: Sequence[Mapping[str, str | None]]) -> dict[str, Any]:
    """One video and its files."""
    return {
        "revision": video.revision,
        "removed_at": iso(video.removed_at),
        "sha256": video.sha256,
        "bytes": video.bytes,
        "seconds": video.seconds,
        "width": video.width,
        "height": video.height,
        "video_codec": video.video_codec,
        "audio_codec": video.audio_codec,
        "files": [dict(file) for file in files],
    }
