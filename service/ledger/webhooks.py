"""What webhooks change about their stories, many in one transaction."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from service.domain.states import StoryState, Verdict
from service.ledger import fetch_steps, receipts
from service.ledger.receipts import Receipt
from service.ledger.tables import receipts as receipts_table
from service.ledger.tables import sortable, steps, stories


@dataclass(frozen=True)
class Told:
    """What of a story concerns a webhook: who it is, whether it waits for its id, what webhooks said so far."""

    id: int
    submission_id: str
    story_id: str | None
    state: str
    next_poll_at: datetime | None
    webhook_at: datetime | None
    webhook_status: str | None

    @property
    def waits_for_id(self) -> bool:
        """Whether the submit call has not told the Story API's id yet, or never will."""
        return self.story_id is None and self.state in (StoryState.SUBMITTING, StoryState.UNCONFIRMED)


def hold(tx: sa.Connection, submission_ids: Collection[str], story_ids: Collection[str]) -> list[Told]:
    """Reads these stories and holds them for the transaction, always in the order of their keys."""
    names = {"submission_id": submission_ids, "story_id": story_ids}
    wanted = {column: list(values) for column, values in names.items() if values}
    if not wanted:
        return []
    statement = _STATEMENTS[tx.dialect.name].hold[tuple(wanted)]
    return [Told(*row) for row in tx.execute(statement, wanted)]


def is_known(tx: sa.Connection, story_id: str) -> bool:
    """Whether a story of that Story API id is there."""
    return bool(tx.execute(sa.select(sa.exists().where(stories.c.story_id == story_id))).scalar_one())


def name(tx: sa.Connection, named: Sequence[Told]) -> None:
    """Writes the Story API's ids that webhooks told of, for stories that are held and waited for them."""
    columns = ("story_id", "state", "next_poll_at")
    for story in named:
        news = {column: getattr(story, column) for column in columns}
        tx.execute(sa.update(stories).where(stories.c.id == story.id).values(news))


def record(
    tx: sa.Connection,
    kept: Sequence[Receipt],
    changed: Sequence[Told],
    now: datetime,
    traces: Mapping[int, str | None] = MappingProxyType({}),
) -> None:
    """Keeps the receipts, writes what they say about the stories that are held, and makes their fetches due.

    `traces`: by story, the request that its fetch follows from.
    """
    receipts.add(tx, [receipt for receipt in kept if receipt.verdict == Verdict.MALFORMED])
    whole = [receipt for receipt in kept if receipt.verdict != Verdict.MALFORMED]
    if not whole:
        return
    asked = sorted({receipt.story for receipt in whole if receipt.story is not None})
    parameters = {
        "kept": _json([vars(receipt) for receipt in whole]),
        "changed": _json([_news(story, now) for story in changed]),
        "asked": _json(
            [
                {"story": story, "next_at": now, "created_at": now, "trace": traces.get(story)}
                for story in asked
            ]
        ),
    }
    for statement in _STATEMENTS[tx.dialect.name].record:
        tx.execute(statement, parameters)


def _news(story: Told, now: datetime) -> Mapping[str, Any]:
    return {
        "id": story.id,
        "webhook_at": story.webhook_at,
        "webhook_status": story.webhook_status,
        "updated_at": now,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=_plain)


def _plain(value: Any) -> str:
    # whose body was read as JSON is UTF-8
    return value.decode() if isinstance(value, bytes) else sortable(value)


@dataclass(frozen=True)
class _Statements:
    """Built once, with JSON lists as parameters: the receiver's answer waits for them.

    `hold` by the columns that are asked for; `record` in the order in which they run.
    """

    hold: Mapping[tuple[str, ...], Any]
    record: Sequence[Any]


_Columns = Mapping[str, sa.ColumnElement[Any]]
_Rows = Callable[..., _Columns]
"""The rows of a JSON parameter of that name, with these columns."""


def _rows_in_sqlite(name: str, *columns: sa.Column[Any]) -> _Columns:
    value = sa.func.json_each(sa.bindparam(name, type_=sa.Text())).table_valued("value", name=name).c.value
    return {
        column.name: sa.func.json_extract(value, sa.literal_column(f"'$.{column.name}'"), type_=_text(column))
        for column in columns
    }


def _rows_in_postgresql(name: str, *columns: sa.Column[Any]) -> _Columns:
    parsed = sa.func.json_to_recordset(sa.cast(sa.bindparam(name, type_=sa.Text()), postgresql.JSON))
    wanted = [sa.column(column.name, _text(column)) for column in columns]
    rows = parsed.table_valued(*wanted, name=name).render_derived(with_types=True)
    return {column.name: column for column in rows.c}


def _text(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    return sa.Text() if isinstance(column.type, sa.LargeBinary) else column.type


def _bytes_in_sqlite(text: sa.ColumnElement[str]) -> sa.ColumnElement[bytes]:
    return sa.cast(text, sa.LargeBinary)


def _bytes_in_postgresql(text: sa.ColumnElement[str]) -> sa.ColumnElement[bytes]:
    return sa.func.convert_to(text, sa.literal_column("'UTF8'"))


def _hold(*columns: str) -> Any:
    named = (stories.c[name].in_(sa.bindparam(name, expanding=True)) for name in columns)
    told = sa.select(*(stories.c[field.name] for field in fields(Told))).where(sa.or_(*named))
    return told.order_by(stories.c.id).with_for_update()


def _keep(rows: _Rows, as_bytes: Callable[[Any], Any]) -> Any:
    kept = dict(rows("kept", *(receipts_table.c[field.name] for field in fields(Receipt))))
    kept["body"] = as_bytes(kept["body"])
    return sa.insert(receipts_table).from_select(list(kept), sa.select(*kept.values()))


def _note(rows: _Rows) -> Any:
    # nothing that is a key: its index entries would be written anew, each on a page of its own
    columns = stories.c.id, stories.c.webhook_at, stories.c.webhook_status, stories.c.updated_at
    changed = dict(rows("changed", *columns))
    return sa.update(stories).where(stories.c.id == changed.pop("id")).values(changed)


def _ask(make: Callable[..., Any], rows: _Rows) -> Any:
    asked = {
        **fetch_steps.NEW,
        **rows("asked", steps.c.story, steps.c.next_at, steps.c.created_at, steps.c.trace),
    }
    # "true", for SQLite would read ON CONFLICT as the condition of a join
    return fetch_steps.or_again(
        make(steps).from_select(list(asked), sa.select(*asked.values()).where(sa.true()))
    )


def _statements() -> Mapping[str, _Statements]:
    asked: tuple[tuple[str, ...], ...] = (("submission_id",), ("story_id",), ("submission_id", "story_id"))
    hold = {columns: _hold(*columns) for columns in asked}
    lite = _rows_in_sqlite
    singly = [_keep(lite, _bytes_in_sqlite), _note(lite), _ask(sqlite.insert, lite)]
    rows = _rows_in_postgresql
    keep, note = _keep(rows, _bytes_in_postgresql).cte("keep"), _note(rows).cte("note")
    at_once = _ask(postgresql.insert, rows).add_cte(keep, note)  # each statement costs a round trip
    return {"sqlite": _Statements(hold, singly), "postgresql": _Statements(hold, [at_once])}


_STATEMENTS = _statements()
