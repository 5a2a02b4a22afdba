"""The pages where people see and mend everything; each is a module, behind one guard."""

from flask import Flask

from service.accounts import Accounts
from service.web.dashboard import (
    account_pages,
    api_docs_page,
    approval_pages,
    bulk_pages,
    destination_pages,
    notice_pages,
    overview_page,
    receipt_pages,
    route_page,
    sign_in_pages,
    story_deeds,
    story_list_page,
    story_new,
    story_page,
    token_pages,
)
from service.web.dashboard.guard import Guard, configure_sessions
from service.web.dashboard.key_converter import KeyConverter
from service.wiring import Relay


def add_dashboard(app: Flask, relay: Relay) -> None:
    """Gives the application its pages, all behind the guard but those for signing in."""
    accounts = Accounts(relay.ledger, relay.now)
    configure_sessions(app, relay.settings)
    app.url_map.converters["key"] = KeyConverter
    guard = Guard(accounts)
    page = guard.blueprint()
    sign_in_pages.add(page, accounts, relay)
    account_pages.add(page, accounts, relay)
    overview_page.add(page, relay)
    receipt_pages.add(page, relay)
    destination_pages.add(page, relay)
    notice_pages.add(page, relay)
    route_page.add(page, relay)
    bulk_pages.add(page, relay)
    story_list_page.add(page, relay)
    story_page.add(page, relay)
    approval_pages.add(page, relay)
    story_deeds.add(page, relay)
    story_new.add(page, relay)
    token_pages.add(page, relay)
    api_docs_page.add(page)
    app.register_blueprint(page)
