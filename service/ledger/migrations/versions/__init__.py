"""The steps from an empty database to the tables of `service.ledger.tables`."""
