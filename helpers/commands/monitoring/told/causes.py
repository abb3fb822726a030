"""Why a run failed, for those outside, in sentences that are all written here. Pure.

What MISP and Microsoft say may repeat an indicator, one of TLP:RED too, and a database a row. So none of it leaves
this host: it is only looked at, and decides which of these sentences does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from helpers.errors import ExitCode

GUARD = "a guard held withdrawals back: look at status and MISP, and run once with --force-withdraw where it is right"


# What of a report, as ledgers keep it, others may have said.
SAID = ("misp_error", "failure", "given_up", "cause")


class Cause(NamedTuple):
    """A sentence, where the text of a failure has a piece like this ``sign``."""

    sign: str
    words: str


_OF_MISP = (
    Cause("from this machine's address", "MISP refuses the key from this host's address (Allowed IPs of the key)"),
    Cause("misp_sightings", "MISP refuses the key for sightings (misp_sightings['api_key']): check says more"),
    Cause("misp_key|Authentication failed", "MISP refuses the key (misp_key): make one in MISP, Auth keys"),
    Cause("login page", "MISP sends every request to its login page: is it in maintenance?"),
    Cause("misp_answer_", "MISP's answer was larger, or took longer, than the settings allow (misp_answer_...)"),
    Cause("misp_proxies", "the proxy to MISP gives no connection (misp_proxies)"),
    Cause("misp_verifycert", "MISP's certificate is not trusted (misp_verifycert)"),
    Cause("no answer from MISP|no connection", "MISP did not answer: is it up, and may this host reach it?"),
    Cause("could not be read", "MISP gave some events in no usable form: the next run reads them again"),
)
_OF_MICROSOFT = (
    Cause("AADSTS7000222", "the client secret has expired: make a new one for the app registration"),
    Cause("AADSTS7000215", "the client secret is none of this app: take the secret's value, not its ID"),
    Cause("AADSTS700016", "the app is none of this tenant: compare client id and tenant"),
    Cause("AADSTS700027", "the certificate is none of this app: add it under Certificates & secrets"),
    Cause("AADSTS700024", "what the app signs in with has expired, or this host's clock is wrong"),
    Cause("gives no token", "Microsoft gives no token: the sign-in failed"),
    Cause("key vault|vault.azure", "the key vault gives no secret"),
    Cause("no answer from", "Microsoft did not answer: firewall, proxy (ms_proxies), certificates (ms_verifycert)?"),
    Cause(r"^403|: 403 ", "Microsoft refuses: give the app the role Microsoft Sentinel Contributor on the workspace"),
    Cause(r"^404|: 404 ", "Microsoft knows no such workspace: compare workspace_id"),
)
_HERE = (
    Cause("ledger .*disk is full", "the ledger's disk is full: make room"),
    Cause("ledger", "the ledger cannot be used (state_url)"),
    Cause("vault", "the key vault gives no secret (key_vault_name)"),
    Cause("redirected to", "MISP answers at another address (misp_domain)"),
    Cause("is missing: run", "a Python package is missing: install the requirements again"),
)
_BY_CODE = {
    ExitCode.UNFINISHED: ((), "it could not be finished"),
    ExitCode.SETTINGS: (_HERE, "the settings, or what they name, cannot be used: check says more"),
    ExitCode.MISP: (_OF_MISP, "MISP gave no usable answer"),
    ExitCode.MICROSOFT: (_OF_MICROSOFT, "Microsoft refused, or did not answer"),
    ExitCode.OWN_FAULT: ((), "a fault of MISP2Sentinel's own: report it, please, with the traceback in the log"),
    ExitCode.STOPPED: ((), "it was stopped from outside; the next run goes on"),
}


def cause_of(exit_code: int, text: str) -> str:
    """Return why a run, or a destination's part in it, failed; ``text`` is what the log has of that."""
    causes, otherwise = _BY_CODE.get(ExitCode(exit_code), ((), "it failed"))
    return next((cause.words for cause in causes if re.search(cause.sign, text, re.IGNORECASE)), otherwise)


def cause_in(run: Mapping[str, Any]) -> str:
    """Return why a run failed of which the ledger has the report."""
    said = [run.get(name) or "" for name in SAID]
    unread = "could not be read" if run.get("unread_events") else ""
    return cause_of(run["exit_code"], " ".join(filter(None, [*said, unread])))
