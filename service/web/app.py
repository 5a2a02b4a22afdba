"""The Flask application, made by a factory from one relay."""

import structlog
from flask import Response, g, jsonify, request
from flask_openapi.openapi import OpenAPI
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from service import VERSION, tracing
from service.ledger import LedgerDown
from service.observability import configure_logging, configure_sentry
from service.web import approving, health, media, metrics, slack_interactions, webhooks
from service.web.api import add_api, problems, shapes
from service.web.api.document import INFO, SECURITY
from service.web.dashboard import add_dashboard
from service.wiring import Relay, open_relay

log = structlog.get_logger()

QUEUE_TIMEOUT = 0.25
"""Seconds after which the web takes the queue for down: a webhook's answer doesn't wait for it."""


def create_app(relay: Relay | None = None) -> OpenAPI:
    """The application; opens its own relay from the environment when none is given, and then keeps its counts.

    Raises SettingsError and ConfigurationError.
    """
    if relay is None:
        relay = open_relay(queue_timeout=QUEUE_TIMEOUT)
        settings = relay.settings
        configure_logging(settings.log_format, settings.log_level, "web")
        configure_sentry(settings.sentry_dsn, VERSION, "web", settings.sentry_environment)
        tracing.configure_tracing("web", VERSION)
        relay.meter.save_often(relay.ledger)
    app = OpenAPI(
        "storyrelay",
        static_folder=None,
        doc_ui=False,
        info=INFO,
        security_schemes=SECURITY,
        validation_error_model=shapes.Problem,
        validation_error_callback=problems.of_validation,
    )
    app.extensions["storyrelay"] = relay
    app.before_request(_name_request)
    app.after_request(_tell_name)
    app.register_blueprint(webhooks.blueprint(relay))
    app.register_blueprint(media.blueprint(relay))
    app.register_blueprint(approving.blueprint(relay))
    app.register_blueprint(slack_interactions.blueprint(relay))
    app.register_blueprint(health.blueprint(relay))
    app.register_blueprint(metrics.blueprint(relay))
    add_dashboard(app, relay)
    add_api(app, relay)
    app.register_error_handler(HTTPException, _http_error)
    for kind in LedgerDown:
        app.register_error_handler(kind, _ledger_down)
    if relay.settings.trusted_proxies:
        hops = relay.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _name_request() -> None:
    """Gives the request an id, which the log of all that comes of it has; the one that it brings, where sane."""
    g.request_id = tracing.request_id(request.headers.get("X-Request-Id"))
    tracing.name_request(g.request_id)
    structlog.contextvars.clear_contextvars()  # of the request that the thread served before
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _tell_name(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _http_error(error: HTTPException) -> Response:
    if request.path.startswith(f"{problems.PREFIX}/"):
        return problems.of_http(error)
    response = jsonify(error=error.description or error.name)
    response.status_code = error.code or 500
    if error.response is not None:
        response.headers.extend(error.response.headers)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "content-range", "retry-after"):
            response.headers[name] = value
    return response


def _ledger_down(error: Exception) -> tuple[Response, int, dict[str, str]]:
    log.warning(
        "ledger.down", error=type(error).__name__, said=str(getattr(error, "orig", None) or error)[:300]
    )
    # not in the answer: its text names hosts and files
    return jsonify(error="the ledger does not answer; try again soon"), 503, {"Retry-After": "5"}
