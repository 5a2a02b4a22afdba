"""What every connector must do, as one class of tests: a connector of any package runs it by subclassing.

In a module of tests (pytest collects a subclass whose name starts with Test):

    class TestPlace(ConnectorContract):
        @pytest.fixture
        def place(self) -> Iterator[Place]: ...

`place` reaches a real place, or a stand-in that is checked against the official client. Kills happen in a child
process that dies by SIGKILL at a boundary between two remote calls, of a publication and of a withdrawal; what it
saved until then is kept in a file, as the ledger keeps it.

A place that can't be looked at (`once = False`) remembers by `publication.save` what took effect there. Its connector
does both within `publication.unbroken()`, so that a worker that is stopped just then does not post a second time.
Fields of a publication that the contract does not set have the defaults of a trial: nothing interrupts, nobody counts.
"""

from service.connector_contract.contract import HOSTILE, ConnectorContract, Place, Seen
from service.connector_contract.faults import Faults, FaultyHttp
from service.connector_contract.story import Story, film, new_story

__all__ = [
    "HOSTILE",
    "ConnectorContract",
    "Faults",
    "FaultyHttp",
    "Place",
    "Seen",
    "Story",
    "film",
    "new_story",
]
