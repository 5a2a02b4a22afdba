import os
import signal
import subprocess
import sys
import time

import pytest

from service.ledger import reports
from service.ledger.migrating import current, head
from service.scheduler_heartbeat import HEARTBEAT


def environment(home, **more):
    kept = {name: value for name, value in home.env.items() if value is not None}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path)} | kept | more


def test_migrate_makes_the_ledger_and_may_be_repeated(bare):
    assert "from nothing to" in bare.done("migrate").stdout
    assert current(bare.ledger) == head()
    assert "up to date" in bare.done("migrate").stdout


def test_migrate_needs_neither_configuration_nor_keys_nor_queue(bare):
    (bare.path / "storyrelay.toml").write_text("this is no TOML")
    assert bare.done("migrate").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_scheduler_beats_until_it_is_told_to_stop(home, valkey, number):
    env = environment(home, REDIS_URL=valkey, STORYRELAY_SWEEP_SECONDS="0.05")
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "scheduler"], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 60
        while beat(home) is None:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, log
    assert "scheduler.stopped" in log
    assert "Traceback" not in log


def beat(home):
    with home.ledger.read() as tx:
        return reports.last_beat(tx, HEARTBEAT)


def test_the_scheduler_insists_on_a_queue(home):
    result = home.run("scheduler")
    assert result.exit_code == 2
    assert "REDIS_URL" in result.stderr


def test_the_scheduler_insists_on_a_ledger(bare, valkey, keys):
    result = bare.run("scheduler", REDIS_URL=valkey, SECRET_KEYS=keys)
    assert result.exit_code == 2
    assert "storyrelay migrate" in result.stderr


def test_what_programs_read_is_alone_on_standard_output(home):
    env = environment(home, STORYRELAY_LOG_LEVEL="debug")
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "reconcile", "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("}\n")
    assert "0 stories found" in done.stderr
