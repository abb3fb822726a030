"""Accounts: who may do what at the sandbox's MISP, and how users/view/me shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.misp.records import ORGANISATION, Record

HIDDEN = "*****"
ROLE_FLAGS = (
    *("perm_add", "perm_modify", "perm_modify_org", "perm_publish", "perm_delegate", "perm_sync"),
    *("perm_admin", "perm_audit", "perm_auth", "perm_site_admin", "perm_regexp_access", "perm_tagger"),
    *("perm_template", "perm_sharing_group", "perm_tag_editor", "perm_sighting", "perm_object_template"),
    *("perm_publish_zmq", "perm_publish_kafka", "perm_decaying", "perm_galaxy_editor"),
    *("perm_warninglist", "perm_view_feed_correlations", "perm_analyst_data"),
)
ORGANISATION_FIELDS = ("contacts", "restricted_to_domain", "landingpage")
USER = {
    *("perm_add", "perm_modify", "perm_modify_org", "perm_audit", "perm_auth", "perm_tagger", "perm_sighting"),
    *("perm_decaying", "perm_galaxy_editor", "perm_analyst_data"),
}
PUBLISHER = ("perm_publish", "perm_delegate", "perm_publish_zmq", "perm_publish_kafka")
ORG_ADMIN = ("perm_admin", "perm_template", "perm_sharing_group", "perm_tag_editor")
# The roles of a fresh MISP: name → its id, what it may, its permission in a number and in a word.
ROLES: dict[str, tuple[str, Iterable[str], str, str]] = {
    "admin": ("1", ROLE_FLAGS, "3", "publish"),
    "User": ("3", USER, "2", "manage_org"),
    "Publisher": ("4", {*USER, *PUBLISHER}, "3", "publish"),
    "Org Admin": ("2", {*USER, *PUBLISHER, *ORG_ADMIN}, "3", "publish"),
    "Read Only": ("6", {"perm_auth", "perm_audit"}, "0", "read_only"),
}
# What a key that may only read is left with (MISP's source).
READING = frozenset({"perm_auth", "perm_audit"})
DISABLED = "Authentication failed. Your user account has been disabled."


@dataclass(frozen=True)
class Account:
    """A user: organisation and role decide what it sees and may. A key that is ``refused`` is answered that.

    A key that is ``read_only`` may not what its role may, of which users/view/me says nothing (MISP's source).
    """

    id: str
    email: str
    role: str
    organisation: Record
    refused: str = ""
    read_only: bool = False

    @property
    def admin(self) -> bool:
        """Say whether it is a site administrator."""
        return self.role == "admin"

    def may(self, permission: str) -> bool:
        """Say whether the role has a permission, and the key has not lost it."""
        return permission in ROLES[self.role][1] and (not self.read_only or permission in READING)

    def owns(self, event: Record) -> bool:
        """Say whether it may change an event: as one of the organisation that made it, or as site administrator."""
        return self.admin or bool(event["Orgc"]["uuid"] == self.organisation["uuid"])


def nearest_role(role: Record) -> str:
    """Give the role that may most of what another one may, and nothing that it may not."""
    may = {flag for flag in ROLE_FLAGS if role.get(flag) is True}
    within = [name for name, (_, flags, *_) in ROLES.items() if set(flags) <= may | {"perm_auth"}]
    return max(within, key=lambda name: len(set(ROLES[name][1])), default="Read Only")


def organisation(number: int, name: str, uuid: str) -> Record:
    """Give an organisation as events show it."""
    return {"id": str(number), "name": name, "uuid": uuid, "local": True}


def account(user: Account) -> Record:
    """Show a user as users/view/me does."""
    return {
        "User": _user(user),
        "Role": _role(user.role),
        "UserSetting": [],
        "Organisation": whole_organisation(user.organisation),
    }


def _user(user: Account) -> Record:
    first = user.id == "1"  # the one that the installation makes, without some of what the form for users asks for
    return {
        "id": user.id,
        "password": HIDDEN,
        "org_id": user.organisation["id"],
        "email": user.email,
        "autoalert": False,
        "invited_by": "0",
        "gpgkey": None if first else "",
        "certif_public": "",
        "nids_sid": "4000000",
        "termsaccepted": False,
        "newsread": "0",
        "role_id": ROLES[user.role][0],
        "change_pw": False,
        "contactalert": False,
        "disabled": False,
        "expiration": None,
        "current_login": "0",
        "last_login": "0",
        "force_logout": False,
        "date_created": None if first else "0",
        "date_modified": "0",
        "sub": None,
        "external_auth_required": False,
        "external_auth_key": None if first else "",
        "last_api_access": "0",
        **dict.fromkeys(("notification_daily", "notification_weekly", "notification_monthly"), False),
        "totp": HIDDEN,
        "hotp_counter": None,
        "last_pw_change": None if first else "0",
        "totp_is_set": "0",
    }


def _role(name: str) -> Record:
    number, flags, permission, described = ROLES[name]
    return {
        "id": number,
        "name": name,
        "created": "2026-01-01 00:00:00",
        "modified": "2026-01-01 00:00:00",
        **{flag: flag in flags for flag in ROLE_FLAGS},
        "default_role": name == "User",
        "memory_limit": None,
        "max_execution_time": None,
        "restricted_to_site_admin": False,
        "enforce_rate_limit": False,
        "rate_limit_count": "0",
        "perm_skip_otp": False,
        "permission": permission,
        "permission_description": described,
    }


def whole_organisation(record: Record) -> Record:
    """Show an organisation with all that MISP keeps of it."""
    host = record["id"] == ORGANISATION["id"]
    return {
        **record,
        "date_created": "2026-01-01 00:00:00",
        "date_modified": "2026-01-01 00:00:00",
        "description": "Automatically generated admin organisation" if host else None,
        "type": "ADMIN" if host else "",
        "nationality": "",
        "sector": "",
        "created_by": "0",
        **dict.fromkeys(ORGANISATION_FIELDS),
    }
