"""What Storyrelay is about, in plain values: no Flask, RQ, SQL or HTTP in here."""
