"""What a delivery has begun, and when a replay was asked for"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "steps",
        sa.Column("asked_at", UtcTime(), nullable=True, comment="when a person last wanted it anew"),
    )
    op.add_column(
        "steps",
        sa.Column(
            "begun_at",
            UtcTime(),
            nullable=True,
            comment="when its destination was first called for it; NULL: nothing of it can stand there",
        ),
    )
    # of those that a worker had, nobody knows any more how far they came
    op.execute("UPDATE steps SET begun_at = created_at WHERE kind = 'deliver' AND generation > 0")
