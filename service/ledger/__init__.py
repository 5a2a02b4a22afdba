"""The ledger: the truth about stories, steps and receipts, in SQLite or PostgreSQL."""

from service.ledger import people_tables  # noqa: F401  the metadata is whole only with it
from service.ledger.engine import Ledger, LedgerDown

__all__ = ["Ledger", "LedgerDown"]
