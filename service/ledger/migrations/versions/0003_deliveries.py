"""What a delivery has begun, and when a replay was asked for"""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    pass
