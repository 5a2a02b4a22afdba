from datetime import UTC, datetime

import pytest

from service.api_tokens import ApiTokens, BadApiToken


def test_tokens_are_made_listed_and_removed(home):
    made = home.done("token", "add", "editorial", "--scope", "read", "--scope", "submit", "--days", "90")
    text = made.stdout.strip()
    assert text.startswith("srt_")
    tokens = ApiTokens(home.ledger, lambda: datetime.now(UTC))
    assert tokens.read(text).name == "editorial"
    listed = home.json("token", "list")
    assert [(each["name"], each["scopes"]) for each in listed] == [("editorial", ["read", "submit"])]
    assert text not in home.done("token", "list").output
    assert text[:12] in home.done("token", "list").stdout
    home.done("token", "remove", "editorial")
    assert home.json("token", "list") == []
    with pytest.raises(BadApiToken):
        tokens.read(text)


def test_a_token_without_scopes_reads_and_json_has_it_whole(home):
    made = home.json("token", "add", "a")
    assert made["scopes"] == ["read"]
    assert made["token"].startswith(made["begins"])


def test_what_can_not_be_done_is_told(home):
    home.done("token", "add", "a")
    again = home.run("token", "add", "A")
    assert again.exit_code == 1
    assert "already" in again.stderr
    assert home.run("token", "remove", "b").exit_code == 1
    assert home.run("token", "add", "b c").exit_code == 2
    assert home.run("token", "add", "b", "--days", "0").exit_code == 2
