"""What whole pages cost the web process and its database, signed in and rendered: the size of the ledger decides."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask.testing import FlaskClient

from service.accounts import Accounts
from service.domain.people import Role
from service.ledger import Ledger
from service.web import create_app
from tests.bench import processor
from tests.bench.figures import Figure
from tests.bench.seed import DESTINATIONS, END
from tests.parts.dashboard_client import PASSWORD, post
from tests.parts.relayed import make_world

PAGES = {
    "GET / (overview)": "/",
    "GET /stories": "/stories",
    "GET /stories/ID": "/stories/story-00000777",
    "GET /notices": "/notices",
    "GET /metrics": "/metrics",
}
_TOML = "".join(f'[destinations.{name}]\nconnector = "archive"\npath = "{name}"\n' for name in DESTINATIONS)


def figures(kind: str, many: Ledger, few: Ledger, rounds: int, at_most: float) -> Iterator[Figure]:
    """Milliseconds of processor time of each page; its mark is `at_most`."""
    with ExitStack() as open_ones:
        over_many, over_few = (open_ones.enter_context(_browser(ledger)) for ledger in (many, few))
        for name, path in PAGES.items():
            spent, took, size = _milliseconds(many, over_many, path, rounds)
            ratio = statistics.median(spent) / statistics.median(
                _milliseconds(few, over_few, path, rounds)[0]
            )
            clock = f"{statistics.median(took):.0f} ms by the clock, {took[0]:.0f} the first time"
            remark = f"{ratio:.1f} × the smaller ledger; {clock}; {size / 1024:.0f} KiB"
            yield Figure(f"{kind}: {name}", spent, "ms", at_most=at_most, remark=remark)


def _milliseconds(
    ledger: Ledger, client: FlaskClient, path: str, rounds: int
) -> tuple[list[float], list[float], int]:
    """Of each round, processor time and time on the clock; and the answer's bytes."""
    spent, took, size = [], [], 0
    for _ in range(rounds):
        spent_so_far = processor.of_queries(ledger)
        before, began = spent_so_far(), time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        spent.append((spent_so_far() - before) * 1000)
        if answer.status_code != 200:
            raise AssertionError(f"{path} answered {answer.status_code}")
        size = len(answer.data)
    return spent, took, size


@contextmanager
def _browser(ledger: Ledger) -> Iterator[FlaskClient]:
    url = ledger.engine.url.render_as_string(hide_password=False)
    with tempfile.TemporaryDirectory(prefix="storyrelay-bench-") as home:
        world = make_world(Path(home), url, _TOML, {})
        world.clock.time = END
        # somebody may have measured here before
        name = f"bench-{time.time_ns()}"
        Accounts(world.relay.ledger, world.relay.now).add(name, Role.VIEWER, PASSWORD, "bench")
        client = create_app(world.relay).test_client()
        post(client, "/sign-in", name=name, password=PASSWORD)
        yield client
        world.relay.ledger.close()
