"""The work behind the queue: fetch, download, deliver, notify, and the connectors."""
