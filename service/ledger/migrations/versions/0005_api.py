"""The JSON API's tokens and the answers that are given again"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass
