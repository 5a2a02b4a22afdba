"""The tables that metrics are made of: what happened since the last sum, and the sums.

Triggers write a row of `tallies` in the transaction that changes what is counted, so that nothing is counted
twice or missed, whoever writes; nobody waits for a row that all would have to add to.
"""

import sqlalchemy as sa

from service.ledger.tables import Key, metadata

tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="what is counted"),
    sa.Column("kind", sa.Text, nullable=False, server_default=""),
    sa.Column("destination", sa.Text, nullable=False, server_default=""),
    sa.Column("outcome", sa.Text, nullable=False, server_default=""),
    sa.Column("value", sa.Float, nullable=False, server_default="1"),
)

totals = sa.Table(
    "totals",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True, comment="sum, or a histogram's bucket: its upper bound"),
    sa.Column("value", sa.Float, nullable=False),
)
