"""Notices that are grouped, resolved, held and gathered"""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass
