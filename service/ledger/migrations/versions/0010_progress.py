"""What is told while a story is being made"""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass
