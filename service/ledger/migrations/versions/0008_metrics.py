"""Counts that stay when what they count is pruned"""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass
