"""Accounts: the two users of the sandbox's MISP, as users/view/me shows them."""

from __future__ import annotations

from sandbox.misp_records import ORGANISATION, Record

HIDDEN = "*****"
ROLE_FLAGS = (
    *("perm_add", "perm_modify", "perm_modify_org", "perm_publish", "perm_delegate", "perm_sync"),
    *("perm_admin", "perm_audit", "perm_auth", "perm_site_admin", "perm_regexp_access", "perm_tagger"),
    *("perm_template", "perm_sharing_group", "perm_tag_editor", "perm_sighting", "perm_object_template"),
    *("perm_publish_zmq", "perm_publish_kafka", "perm_decaying", "perm_galaxy_editor"),
    *("perm_warninglist", "perm_view_feed_correlations", "perm_analyst_data"),
)
ORGANISATION_FIELDS = ("contacts", "restricted_to_domain", "landingpage")


def account(admin: bool, organisation_uuid: str) -> Record:
    """Show the administrator, or the read-only user of an organisation."""
    organisation = _organisation(ORGANISATION["uuid"] if admin else organisation_uuid)
    return {
        "User": _user(admin, organisation["id"]),
        "Role": _role(admin),
        "UserSetting": [],
        "Organisation": organisation,
    }


def _user(admin: bool, org_id: str) -> Record:
    return {
        "id": "1" if admin else "2",
        "password": HIDDEN,
        "org_id": org_id,
        "email": "admin@sandbox.example" if admin else "reader@sandbox.example",
        "autoalert": False,
        "authkey": HIDDEN,
        "invited_by": "0",
        "gpgkey": None,
        "certif_public": "",
        "nids_sid": "4000000",
        "termsaccepted": False,
        "newsread": "0",
        "role_id": "1" if admin else "6",
        "change_pw": False,
        "contactalert": False,
        "disabled": False,
        "expiration": None,
        "current_login": "0",
        "last_login": "0",
        "force_logout": False,
        "date_created": None,
        "date_modified": "0",
        "sub": None,
        "external_auth_required": False,
        "external_auth_key": None,
        "last_api_access": "0",
        **dict.fromkeys(("notification_daily", "notification_weekly", "notification_monthly"), False),
        "totp": HIDDEN,
        "hotp_counter": None,
        "last_pw_change": None,
        "totp_is_set": "0",
    }


def _role(admin: bool) -> Record:
    may = dict.fromkeys(ROLE_FLAGS, admin)
    may |= {"perm_auth": True}
    return {
        "id": "1" if admin else "6",
        "name": "admin" if admin else "Read Only",
        "created": "2026-01-01 00:00:00",
        "modified": "2026-01-01 00:00:00",
        **may,
        "default_role": False,
        "memory_limit": None,
        "max_execution_time": None,
        "restricted_to_site_admin": False,
        "enforce_rate_limit": False,
        "rate_limit_count": "0",
        "perm_skip_otp": False,
        "permission": "3" if admin else "0",
        "permission_description": "publish" if admin else "read_only",
    }


def _organisation(uuid: str) -> Record:
    host = uuid == ORGANISATION["uuid"]
    return {
        **(ORGANISATION if host else ORGANISATION | {"id": "2", "name": "Readers", "uuid": uuid}),
        "date_created": "2026-01-01 00:00:00",
        "date_modified": "2026-01-01 00:00:00",
        "description": None,
        "type": "ADMIN" if host else "",
        "nationality": "",
        "sector": "",
        "created_by": "0",
        **dict.fromkeys(ORGANISATION_FIELDS),
    }
