"""The JSON API's tokens and the answers that are given again"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False, comment="the name without regard to case"),
        sa.Column("handle", sa.Text(), nullable=False, comment="how the token begins, no secret"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the whole token, hex"),
        sa.Column("scopes", sa.Text(), nullable=False, comment="with blanks between"),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("used_at", UtcTime(), nullable=True, comment="the last call, to the minute"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("folded", name=op.f("uq_api_tokens_folded")),
        sa.UniqueConstraint("handle", name=op.f("uq_api_tokens_handle")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "submit_keys",
        sa.Column("token", _ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the caller's Idempotency-Key"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the body"),
        sa.Column(
            "story",
            _ID,
            nullable=True,
            comment="what it asked for; the answer follows from it where none was kept. NULL: forgotten since",
        ),
        sa.Column(
            "refused", sa.Text(), nullable=True, comment="why nothing was made, NULL unless that is known"
        ),
        sa.Column("status", sa.Integer(), nullable=True, comment="of the answer, NULL until there is one"),
        sa.Column("answer", sa.Text(), nullable=True, comment="its body, JSON"),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["token"], ["api_tokens.id"], name=op.f("fk_submit_keys_token"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["story"], ["stories.id"], name=op.f("fk_submit_keys_story"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("token", "key", name=op.f("pk_submit_keys")),
    )
    op.create_index("ix_submit_keys_created_at", "submit_keys", ["created_at"], unique=False)
    op.create_index("ix_submit_keys_story", "submit_keys", ["story"], unique=False)
