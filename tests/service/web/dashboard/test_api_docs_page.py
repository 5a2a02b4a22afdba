import re

from dashboard_client import SignIn
from flask import Flask

from service.domain.people import Role


def test_the_page_and_all_that_it_loads_come_from_here(signed_in: SignIn) -> None:
    viewer = signed_in(Role.VIEWER)
    answer = viewer.get("/api/docs")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href|data-document)="([^"]+)"', answer.text)
    assert len(loaded) > 5
    assert all(address.startswith("/") and not address.startswith("//") for address in loaded)
    for address in loaded:
        assert viewer.get(address).status_code == 200, address
    assert "<script>" not in answer.text


def test_only_the_files_of_the_page_are_served(signed_in: SignIn, app: Flask) -> None:
    viewer = signed_in(Role.VIEWER)
    for name in ("swagger.svg", "__init__.py", "..%2f__init__.py", "%2e%2e"):
        assert viewer.get(f"/api/docs/{name}").status_code == 404
    assert app.test_client().get("/api/docs").status_code == 302
