"""The connectors: one file for each kind of place, found by entry point."""
