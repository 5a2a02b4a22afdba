"""`submit` and `estimate`: what a video is to be, what it costs, and the call that asks for it."""

import json
from collections.abc import Mapping
from typing import Any

import click

from service.cli.interrupting import ctrl_c
from service.cli.output import facts, note, show, show_json, word
from service.cli.request_options import read_request, request_arguments
from service.cli.session import known_route, open_session, quiet_log
from service.domain.people import SHELL
from service.domain.states import StoryState
from service.domain.stories import read_label
from service.settings import SettingsError, load_settings
from service.story_api import RATES, AnyVideoRequest, Estimate
from service.story_api import estimate as price
from service.submission import Submission, Submitted
from service.submission_json import estimate_json, submitted_json
from service.wiring import Relay, Stop, open_relay

_EXAMPLES = """\b
storyrelay submit idea "A day at sea" --aspect-ratio 9:16
storyrelay submit url https://example.com/article --route all
storyrelay submit images https://example.com/1.jpg https://example.com/2.jpg
storyrelay submit --file story.json --kind idea
"""


def _labels(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for each in given:
        try:
            name, value = read_label(each)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
        if name in labels:
            raise click.BadParameter(f"{name!r} is given twice")
        labels[name] = value
    return labels


@click.command(epilog=_EXAMPLES)
@click.option("--route", help="Pin the story to this route, whatever its conditions say.")
@click.option(
    "--label", "labels", multiple=True, callback=_labels, metavar="NAME=VALUE", help="For routes; repeatable."
)
@click.option("--again", is_flag=True, help="Ask though the same request is unanswered; it may cost twice.")
@click.option("--dry-run", is_flag=True, help="Check and price, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@request_arguments
def submit(
    route: str | None, labels: Mapping[str, str], again: bool, dry_run: bool, as_json: bool, **asked: Any
) -> None:
    """Ask the Story API for a video.

    The ledger has the story before the call leaves. Exit code 1 when the call got no answer: the story is then
    `unconfirmed`, and is not asked for twice without --again.
    """
    request = _read(asked)
    if dry_run:
        _check_route(route)
        _show_check(request, as_json=as_json)
        return
    relay = open_session()
    pinned = known_route(relay, route)
    with ctrl_c() as stop:
        submitted = _submission(relay, stop).submit(
            request, route=pinned, labels=labels, again=again, by=SHELL
        )
    _show_submitted(submitted, price(request), as_json=as_json)
    if submitted.state == StoryState.UNCONFIRMED:
        click.get_current_context().exit(1)


@click.command(epilog='\b\nstoryrelay estimate idea "A day at sea" --scene-count 5')
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@request_arguments
def estimate(as_json: bool, **asked: Any) -> None:
    """Price a video before it is asked for; takes what `submit` takes and sends nothing."""
    request = _read(asked)
    if as_json:
        show_json({"kind": request.kind, **estimate_json(price(request))})
    else:
        show(facts(_price_rows(price(request))))


def _read(asked: Mapping[str, Any]) -> AnyVideoRequest:
    options = dict(asked)
    named = {name: options.pop(name) for name in ("kind", "text", "file", "of_kind")}
    return read_request(options=options, **named)


def _check_route(route: str | None) -> None:
    if route is not None:
        relay = open_relay(serves=False)
        quiet_log(relay.settings)
        known_route(relay, route)


def _submission(relay: Relay, stop: Stop) -> Submission:
    if not relay.settings.story_api_key.get_secret_value():
        raise SettingsError(
            "wrong settings:\n  STORY_API_KEY: is not set: take it from the provider's console"
        )
    return relay.submission(stop)


def _show_check(request: AnyVideoRequest, *, as_json: bool) -> None:
    if as_json:
        estimated = estimate_json(price(request))
        show_json({"dry_run": True, "kind": request.kind, "request": request.body(), "estimate": estimated})
        return
    sent = [(name, _written(value)) for name, value in request.body().items()]
    show(facts([("kind", request.kind), *sent, *_price_rows(price(request))]))
    note(f"checked; nothing was sent to {load_settings().story_api_url}")


def _written(value: Any) -> str:
    """A field of a request as people write it; '' for one that is not set."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _show_submitted(submitted: Submitted, estimated: Estimate, *, as_json: bool) -> None:
    name = submitted.story_id or submitted.submission_id
    if as_json:
        show_json(submitted_json(submitted))
    else:
        charged = "" if submitted.used_credits is None else f"{submitted.used_credits:g} credits"
        rows = [("story", submitted.story_id or ""), ("submission", submitted.submission_id)]
        state = ("state", word(submitted.state))
        show(facts([*rows, state, ("price", estimated.formula), ("charged", charged)]))
    if submitted.state == StoryState.UNCONFIRMED:
        note(
            "The Story API did not answer, so whether the story is being made is not known: a webhook will tell, "
            f"or `storyrelay show {name}`. The same request is not sent again without --again."
        )
    else:
        note(f"Follow it with: storyrelay show {name}")


def _price_rows(estimated: Estimate) -> list[tuple[str, str]]:
    others = [
        (rate.tier.lower(), f"{rate.credits_per_second} credits a second: {', '.join(rate.video_tools)}")
        for rate in RATES
    ]
    return [
        ("price", f"{estimated.credits} credits, about US${estimated.dollars}"),
        ("formula", estimated.formula),
        *others,
    ]
