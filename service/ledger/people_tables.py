"""The tables of the dashboard's accounts and of its audit log."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False, unique=True, comment="the name without regard to case"),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id, with its salt and parameters"),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0", comment="sessions of others are over"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("seen_at", UtcTime, comment="the last sign-in"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, server_default=""),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Column("remote", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_audit_action_at", "action", "at"),
)
