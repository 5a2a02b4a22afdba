"""The tables of the JSON API: its tokens, and the submissions whose answers are given again."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False, unique=True, comment="the name without regard to case"),
    sa.Column("handle", sa.Text, nullable=False, unique=True, comment="how the token begins, no secret"),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the whole token, hex"),
    sa.Column("scopes", sa.Text, nullable=False, comment="with blanks between"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("used_at", UtcTime, comment="the last call, to the minute"),
    sqlite_autoincrement=True,  # a removed token's key must not lead the next one to its answers
)

submit_keys = sa.Table(
    "submit_keys",
    metadata,
    sa.Column("token", Key, sa.ForeignKey("api_tokens.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True, comment="the caller's Idempotency-Key"),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the body"),
    sa.Column(
        "story",
        Key,
        sa.ForeignKey("stories.id", ondelete="SET NULL"),  # a forgotten story frees no key: it was paid for
        comment="what it asked for; the answer follows from it where none was kept. NULL: forgotten since",
    ),
    sa.Column("refused", sa.Text, comment="why nothing was made, NULL unless that is known"),
    sa.Column("status", sa.Integer, comment="of the answer, NULL until there is one"),
    sa.Column("answer", sa.Text, comment="its body, JSON"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Index("ix_submit_keys_created_at", "created_at"),
    sa.Index("ix_submit_keys_story", "story"),
)
