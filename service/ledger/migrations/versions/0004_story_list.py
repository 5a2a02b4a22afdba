"""What the list of stories is found by"""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
