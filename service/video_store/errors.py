"""How a store fails."""


class BadLocation(ValueError):
    """A store's location or options in the settings can't be meant; the message says what is allowed."""


class StoreError(Exception):
    """The store didn't do what was asked; the message says what, where and what to do, and holds no secret.

    `permanent`: trying again can't help. `refused`: the store refuses our login or rights.
    """

    def __init__(self, message: str, *, permanent: bool = False, refused: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.refused = refused


class StoreFull(StoreError):
    """No room or no quota left; trying again helps once somebody has made room."""


class NotStored(StoreError):
    """There is no object of that key; permanent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)
