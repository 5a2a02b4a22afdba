"""Replays of many stories: looked at first, then worked off by the scheduler."""

from datetime import datetime
from typing import Annotated

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from service.bulk_replay_json import bulk_json, dry_run_json
from service.bulk_replaying import BulkReplaying, Unfit
from service.domain.api_tokens import Scope
from service.domain.bulk_replays import Choice, Clock, Wanted, usual_clock
from service.ledger import bulk_replays
from service.ledger.bulk_replays import BulkReplay
from service.web.api.answers import answers, tagged
from service.web.api.bulk_shapes import BulkDryRun, BulkReplayInFull, BulkReplayShape
from service.web.api.gate import takes, who
from service.web.api.paging import PageQuery, page
from service.web.api.problems import refuse
from service.web.api.requests import Edge, Strict
from service.web.api.results import page_of
from service.web.ledger_keys import HIGHEST_KEY
from service.web.slow_lane import SlowLane
from service.wiring import Relay

_TAG = tagged("Bulk replays")


class BulkBody(Strict):
    """Which stories are replayed."""

    wanted: Annotated[Wanted, Field(strict=False)] = Field(
        description="In this state; `dead`: with a delivery that was given up."
    )
    since: Edge
    until: Edge | None = Field(None, description="Not included; without it until now.")
    by: Annotated[Clock, Field(strict=False)] | None = Field(
        None, description="Which time counts; else finished, or created where none did."
    )
    route: str | None = Field(None, max_length=200, description="Only those that came by this route.")
    destination: str | None = Field(None, max_length=200, description="Only the deliveries to this one.")
    dry_run: bool = Field(False, description="Say what would be done, and do nothing.")


class BulkPath(BaseModel):
    """Which bulk replay."""

    bulk: int = Field(ge=1, le=HIGHEST_KEY)


def add(api: APIBlueprint, relay: Relay, slow: SlowLane) -> None:
    """Adds the calls."""
    replaying = BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now)

    @api.post(
        "/bulk-replays", tags=_TAG, responses=answers({200: BulkDryRun, 201: BulkReplayShape}, body=True)
    )
    @takes(Scope.OPERATE)
    def bulk_replay(body: BulkBody) -> tuple[Response, int]:
        """Replay many stories by today's routes

        The scheduler works it off, a few at a time. 200: a dry run.
        """
        choice = _choice(body, relay.now())
        with slow.place():
            if body.dry_run:
                return jsonify(dry_run_json(replaying.dry_run(choice))), 200
            return jsonify(bulk_json(replaying.start(choice, who()))), 201

    @api.get(
        "/bulk-replays", tags=_TAG, responses=answers({200: page_of(BulkReplayShape, "BulkReplaysPage")})
    )
    @takes(Scope.READ)
    def bulk_replay_list(query: PageQuery) -> Response:
        """List the replays of many stories, newest first"""
        with relay.ledger.read() as tx:
            rows = bulk_replays.newest(tx, query.limit + 1, query.key())
        return page(rows, query.limit, lambda row: row.id, bulk_json)

    @api.get("/bulk-replays/<int:bulk>", tags=_TAG, responses=answers({200: BulkReplayInFull}))
    @takes(Scope.READ)
    def bulk_replay_progress(path: BulkPath) -> Response:
        """Read how far a replay of many stories is, and why stories were left out"""
        return _in_full(relay, path.bulk)

    ended = {409: "It has ended already."}

    @api.post("/bulk-replays/<int:bulk>/cancel", tags=_TAG, responses=answers({200: BulkReplayInFull}, ended))
    @takes(Scope.OPERATE)
    def bulk_replay_cancel(path: BulkPath) -> Response:
        """Leave the stories alone that were not yet seen to"""
        found = _found(relay, path.bulk)
        if not replaying.cancel(found.id, who()):
            raise refuse(409, "it has ended already", "not-possible")
        return _in_full(relay, path.bulk)


def _choice(body: BulkBody, now: datetime) -> Choice:
    try:
        return Choice(
            wanted=body.wanted,
            since=body.since,
            until=body.until or now,
            by=body.by or usual_clock(body.wanted),
            route=body.route,
            destination=body.destination,
        )
    except ValueError as error:
        raise Unfit(str(error)) from error


def _found(relay: Relay, key: int) -> BulkReplay:
    with relay.ledger.read() as tx:
        found = bulk_replays.read(tx, key)
    if found is None:
        raise refuse(404, "no such replay of many stories", "unknown-bulk-replay")
    return found


def _in_full(relay: Relay, key: int) -> Response:
    found = _found(relay, key)
    with relay.ledger.read() as tx:
        return jsonify({**bulk_json(found), "reasons": bulk_replays.reasons(tx, key)})
