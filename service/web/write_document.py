"""`python -m service.web.write_document` prints the OpenAPI document, for docs/openapi.json."""

import sys
from tempfile import TemporaryDirectory

from service.web.api.document import written
from service.web.app import create_app
from service.wiring import open_relay


def main() -> None:
    """The document is the same for every installation: one that is made for this moment will do."""
    with TemporaryDirectory() as home:
        env = {
            "STORYRELAY_HOME": home,
            "SECRET_KEYS": "only-for-the-document",
            "REDIS_URL": "redis://127.0.0.1",
        }
        relay = open_relay(env)
        sys.stdout.write(written(create_app(relay)))
        relay.ledger.close()


if __name__ == "__main__":
    main()
