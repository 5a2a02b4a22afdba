import pytest

from service.domain.states import Circuit, StepKind, StepState
from service.domain.steps import Lane, Opens
from service.ledger import lanes

BROKEN = """
[destinations.hook]
connector = "webhook"
url = "http://127.0.0.1:1/hook"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""


def close_off(home, destination, now, *kinds):
    with home.ledger.write() as tx:
        for kind in kinds:
            lanes.open_circuit(
                tx, Lane(kind, destination), Opens("refused", "no"), now, first_delay=900, fingerprint=None
            )


def circuits(home):
    with home.ledger.read() as tx:
        return {str(state.lane): state.circuit for state in lanes.all_lanes(tx)}


def test_a_test_that_works_lets_deliveries_and_notices_pass_again(home, book, now):
    key = book.settled("story-1", {"shelf": StepState.PENDING})
    close_off(home, "shelf", now, StepKind.DELIVER, StepKind.NOTIFY)
    close_off(home, "attic", now, StepKind.DELIVER)
    printed = home.json("send-test", "shelf")
    assert (printed["sent"], printed["destination"], printed["reopened"]) == (
        True,
        "shelf",
        ["deliver", "notify"],
    )
    assert circuits(home) == {
        "deliver/shelf": Circuit.CLOSED, "notify/shelf": Circuit.CLOSED, "deliver/attic": Circuit.OPEN,
    }  # fmt: skip
    assert home.steps(key)["deliver/shelf"].state == "pending"


def test_people_are_told(home):
    result = home.done("send-test", "shelf")
    assert "sent" in result.stdout
    assert str(home.path / "published") in result.stdout


def test_a_test_that_fails_keeps_the_destination_closed(home, now):
    (home.path / "storyrelay.toml").write_text(BROKEN)
    close_off(home, "hook", now, StepKind.DELIVER)
    result = home.run("send-test", "hook", "--json")
    assert result.exit_code == 1
    assert "127.0.0.1" in result.stderr
    assert result.stdout == ""
    assert "whsec_" not in result.output
    assert circuits(home)["deliver/hook"] == Circuit.OPEN


@pytest.mark.parametrize(
    ("words", "said"),
    [(("shlf",), "'shelf'"), (("nope",), "there are "), ((), "DESTINATION"), (("shelf", "attic"), "attic")],
)
def test_wrong_use(home, words, said):
    result = home.run("send-test", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
