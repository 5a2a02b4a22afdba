"""Keys of the ledger in the dashboard's addresses."""

from werkzeug.routing import BaseConverter, ValidationError

from service.web.ledger_keys import ledger_key


class KeyConverter(BaseConverter):
    """`<key:name>` in a route; the page is not found for anything else."""

    regex = r"[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """The key."""
        try:
            return ledger_key(value)
        except ValueError as error:
            raise ValidationError from error
