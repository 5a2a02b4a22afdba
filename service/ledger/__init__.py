"""The ledger: the truth about stories, steps and receipts, in SQLite or PostgreSQL."""

from service.ledger import metrics_tables, people_tables, retention_tables  # noqa: F401  the metadata is whole only with them
from service.ledger.engine import Ledger, LedgerDown

__all__ = ["Ledger", "LedgerDown"]
