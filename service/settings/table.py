"""The settings as README shows them."""

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.settings.fields import Settings, variable


def settings_table() -> str:
    """Returns a Markdown table: variable, default, meaning."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = _default(field)
    shown = f"`{default}`" if default else ""
    return f"| `{variable(name)}` | {shown} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value is PydanticUndefined or field.default_factory is not None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return "" if "Secret" in repr(field.annotation) else str(value)
