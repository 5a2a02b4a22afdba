"""The download's speed and memory, as figures."""

from tests.bench import download
from tests.bench.figures import Figure


def run(rounds: int) -> list[Figure]:
    """A 500 MB file with SHA-256, against the curl command, which makes none."""
    found = download.run(rounds=rounds)
    return [
        Figure(
            "500 MB download with SHA-256, against curl",
            [found["ratio"]],
            at_least=0.95,
            remark=f"median of {rounds} rounds, in turn; {found['megabytes_per_second']:.0f} MB/s; "
            f"against curl and sync {found['synced_ratio']:.2f}",
        ),
        Figure("memory growth of that download", [found["memory_growth_mb"]], "MB", at_most=40),
    ]
