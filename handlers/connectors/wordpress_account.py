"""What an account of WordPress may do, for `doctor`: said before a delivery fails for it."""

from dataclasses import dataclass

from handlers.connectors.wordpress_api import WordPressApi
from service.domain.delivery import DeliveryFailed

_NEEDED = {"upload_files": "upload files", "edit_posts": "write posts"}
_TO_PUBLISH = {"publish_posts": "publish", "edit_published_posts": "change what is published"}
_TO_WITHDRAW = {"delete_posts": "delete drafts", "delete_published_posts": "delete what is published"}


@dataclass(frozen=True)
class Wishes:
    """What the options ask for beyond a draft."""

    publishes: bool
    names_author: bool
    names_categories: bool


def describe(api: WordPressApi, site: str, wishes: Wishes) -> str:
    """Logs in; says as whom, and which rights are missing. Raises DeliveryFailed where none would be published."""
    me = api.get("users/me", {"context": "edit", "_fields": "name,roles,capabilities"})
    if not isinstance(me, dict) or not isinstance(me.get("capabilities"), dict):
        raise DeliveryFailed(f"{api.host} did not say what the account may do")
    may = {right for right, granted in me["capabilities"].items() if granted}
    who = f"{site} as {me.get('name')} ({', '.join(map(str, me.get('roles') or ['no role']))})"
    needed = _NEEDED | (_TO_PUBLISH if wishes.publishes else {})
    if wishes.names_author:
        needed = {**needed, "edit_others_posts": "write for another author"}
    missing = [what for right, what in needed.items() if right not in may]
    if missing:
        raise DeliveryFailed(
            f"{who} may not {', nor '.join(missing)}: give the account the role Author"
            f"{', or Editor' if wishes.names_author else ''}",
            refused=True,
        )
    remarks = [f"may not {what}" for right, what in _TO_WITHDRAW.items() if right not in may]
    if wishes.names_categories and "manage_categories" not in may:
        remarks.append("may not make categories: those that are not there are left out")
    return "; ".join([who, *remarks, "its upload limit is told by none of its answers, only by a refusal"])
