import os
import signal
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from placed import Place, finished, run, set_step, step_row, world_on
from relayed import World
from scripted_place import Asked, Says, ScriptedPlace, scripted_place

from handlers.connectors.apprise import AppriseConnector, AppriseOptions
from handlers.connectors.email import EmailConnector, EmailOptions
from handlers.connectors.slack import SlackConnector, SlackOptions
from handlers.connectors.smtp import MailServer
from service.connectors import ConnectorTools
from service.domain.delivery import Publication, Published
from service.outbound_http import HttpClient
from service.stand_ins.mailbox import Mailbox


@pytest.fixture
def world(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    world = world_on(database_url, tmp_path, place)
    yield world
    world.relay.ledger.close()


@pytest.fixture
def service() -> Iterator[ScriptedPlace]:
    """Takes each message, and has its sender told to stop before it answers."""

    def answer(_asked: Asked) -> Says:
        _stop()
        return Says(200, b"ok")

    with scripted_place() as service:
        service.answer = answer
        yield service


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _tools(world: World) -> ConnectorTools:
    return ConnectorTools("place", HttpClient(), world.home, world.clock)


class PonderingSmtp(smtplib.SMTP):
    """Has the mail's sender told to stop between the final dot and the server's answer."""

    def send(self, s: Any) -> None:
        super().send(s)
        if s == b".\r\n":
            _stop()


def _pondering(server: MailServer) -> smtplib.SMTP:
    return PonderingSmtp(server.host, server.port, timeout=server.timeout)


def _is_given_back_and_then_done(world: World, step: int) -> None:
    after = step_row(world, step)
    assert (after.state, after.attempts) == ("queued", 0), after.last_error
    run(world, step)
    assert step_row(world, step).state == "done"
    assert [attempt.outcome for attempt in world.attempts("story-1")] == ["released", "done"]


def test_a_mail_that_the_server_ponders_when_the_worker_is_stopped_goes_once(
    world: World, place: Place
) -> None:
    with Mailbox() as box:
        values = {
            "host": box.host,
            "port": box.port,
            "security": "none",
            "from": "relay@example.test",
            "to": ["ann@example.test", "bob@example.test"],
            "timeout": 5,
        }
        email = EmailConnector(EmailOptions.model_validate(values), _tools(world), _pondering)
        place.publish_as = email.publish
        step = finished(world)
        run(world, step)
        assert step_row(world, step).reference["sent"] == ["ann@example.test", "bob@example.test"]
        _is_given_back_and_then_done(world, step)
        assert len(box.messages) == 1


def test_a_message_to_an_incoming_webhook_of_slack_goes_once(
    world: World, place: Place, service: ScriptedPlace
) -> None:
    options = SlackOptions.model_validate({"webhook_url": f"{service.url}/hook", "timeout": 5})
    place.publish_as = SlackConnector(options, _tools(world)).publish
    step = finished(world)
    run(world, step)
    _is_given_back_and_then_done(world, step)
    assert len(service.asked) == 1


def test_each_service_of_apprise_is_told_once(world: World, place: Place, service: ScriptedPlace) -> None:
    urls = [service.url.replace("http", "json") + path for path in ("/one", "/two")]
    options = AppriseOptions.model_validate({"urls": urls, "timeout": 5})
    place.publish_as = AppriseConnector(options, _tools(world)).publish
    step = finished(world)
    run(world, step)
    run(world, step)
    _is_done_after(world, step, ["released", "released", "done"])
    assert sorted(asked.path for asked in service.asked) == ["/one", "/two"]


def _is_done_after(world: World, step: int, outcomes: list[str]) -> None:
    run(world, step)
    assert step_row(world, step).state == "done"
    assert [attempt.outcome for attempt in world.attempts("story-1")] == outcomes


def test_transfers_and_checks_within_the_block_go_on(world: World, place: Place) -> None:
    step = finished(world)

    def publish(publication: Publication) -> Published:
        with publication.unbroken():
            with publication.unbroken():
                _stop()
                publication.check()
            publication.check()
            publication.save({"posted": True})
        raise AssertionError("it was not stopped at the end of the block")

    place.publish_as = publish
    run(world, step)
    after = step_row(world, step)
    assert (after.state, after.reference) == ("queued", {"posted": True})


def test_who_lost_the_step_within_the_block_records_nothing(world: World, place: Place) -> None:
    step = finished(world)

    def publish(publication: Publication) -> Published:
        with publication.unbroken():
            set_step(world, step, generation=7)  # another worker took it
            publication.save({"posted": True})
        raise AssertionError("it went on")

    place.publish_as = publish
    run(world, step)
    after = step_row(world, step)
    assert (after.state, after.generation, after.reference) == ("running", 7, None)


def test_an_error_within_the_block_is_not_the_reason_why_a_stopped_attempt_ends(
    world: World, place: Place
) -> None:
    step = finished(world)

    def publish(publication: Publication) -> Published:
        with publication.unbroken():
            _stop()
            raise ConnectionResetError("the place hung up")

    place.publish_as = publish
    run(world, step)
    after = step_row(world, step)
    assert (after.state, after.attempts, after.last_error) == ("queued", 0, None)
