"""Keys of the ledger in addresses: what no database could have is no key."""

from werkzeug.routing import BaseConverter, ValidationError

HIGHEST = 2**63 - 1


def ledger_key(text: str) -> int:
    """The key that a text says. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= HIGHEST):
        raise ValueError("this is no key of the ledger")
    return int(text)


class KeyConverter(BaseConverter):
    """`<key:name>` in a route; the page is not found for anything else."""

    regex = r"[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """The key."""
        try:
            return ledger_key(value)
        except ValueError as error:
            raise ValidationError from error
