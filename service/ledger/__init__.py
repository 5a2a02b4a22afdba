"""The ledger: the truth about stories, steps and receipts, in SQLite or PostgreSQL."""

from service.ledger import (  # the metadata is whole only with them
    api_tables,  # noqa: F401
    approval_tables,  # noqa: F401
    bulk_tables,  # noqa: F401
    metrics_tables,  # noqa: F401
    people_tables,  # noqa: F401
    retention_tables,  # noqa: F401
    telling_tables,  # noqa: F401
    trouble_tables,  # noqa: F401
)
from service.ledger.engine import Ledger, LedgerDown

__all__ = ["Ledger", "LedgerDown"]
