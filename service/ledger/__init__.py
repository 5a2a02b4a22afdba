"""The ledger: the truth about stories, steps and receipts, in SQLite or PostgreSQL."""

from service.ledger.engine import Ledger, LedgerDown

__all__ = ["Ledger", "LedgerDown"]
