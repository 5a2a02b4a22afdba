"""`python -m tests.bench`: what the service is measured by, in ratios within one run.

The exit code is 1 when a mark is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from tests.bench import downloads, lists, machines, webhooks
from tests.bench.figures import Figure

MEASURES: Mapping[str, Callable[[int], list[Figure]]] = {
    "webhooks-postgresql": lambda rounds: webhooks.run("postgresql", rounds, at_least=0.5),
    "webhooks-sqlite": lambda rounds: webhooks.run("sqlite", rounds, at_least=0.35),
    "download": downloads.run,
    "latency": machines.latency,
    "memory": machines.memory,
    "list": lambda rounds: [
        figure for kind in ("sqlite", "postgresql") for figure in lists.run(kind, rounds)
    ],
}

ON_REQUEST = {"list"}
"""What is left out unless it is named: it writes two million stories before it measures."""


def main() -> int:
    """Runs what is asked for and prints it as it comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=MEASURES, action="append", help="may be given several times")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each measure (9)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    wanted = parser.parse_args()
    missed = False
    for name in wanted.only or [name for name in MEASURES if name not in ON_REQUEST]:
        for figure in MEASURES[name](wanted.rounds):
            line = json.dumps(figure.as_json(), ensure_ascii=False) if wanted.json else figure.line()
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            missed |= not figure.is_reached
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
