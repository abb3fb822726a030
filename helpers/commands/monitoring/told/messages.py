"""Messages: what is new of a run's ending, or of how it stands, goes to every address of ``notify`` at once."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Sequence
from functools import partial

from helpers.commands.monitoring.told.delivery import LONGEST, MOST_WORDS, Delivery
from helpers.commands.monitoring.told.due import News
from helpers.commands.monitoring.told.ending import Ending
from helpers.commands.monitoring.told.memory import Memory
from helpers.commands.monitoring.told.words import Sender, message_of
from helpers.errors import SettingsError
from helpers.process import installation
from helpers.settings import Settings

_INSTALL = "notify needs a package that is not installed (apprise): {} in {}."
_NOT_DELIVERED = "it did not take the message"
_NO_ADDRESS = "it is no address that apprise knows"
# What is left of the time, in seconds, for remembering whether the message was taken.
_LAST = 1.0


def require(settings: Settings) -> None:
    """Raise SettingsError where messages are wanted and the package for them is missing."""
    if settings.notify and importlib.util.find_spec("apprise") is None:
        raise SettingsError([_INSTALL.format(installation.how_to_add("notify"), installation.HOME)])


def keys_of(settings: Settings) -> dict[str, str]:
    """Return what each destination is remembered by, by its name and by its workspace, which stands for no name."""
    return {
        name: f"notify {known.workspace_key} {known.sourcesystem}"
        for known in settings.destinations()
        for name in (known.workspace_key, known.name)
    }


def news_of(part: Ending) -> News:
    """Return what there is to tell of a destination, in what it is remembered by."""
    return News(part.cause, part.ends)


def tell(settings: Settings, parts: Sequence[Ending], sender: Sender) -> list[Delivery]:
    """Begin to tell what is new of these destinations; nothing where nobody is to be told."""
    if not (settings.notify and parts):
        return []
    longest = MOST_WORDS * len(settings.notify)
    return [Delivery("notify", partial(_tell_what_is_new, settings, parts, sender), longest)]


def _tell_what_is_new(settings: Settings, parts: Sequence[Ending], sender: Sender) -> str:
    """Tell what is new and return what went wrong; what nobody got is not remembered as told."""
    until = time.monotonic() + LONGEST - _LAST
    memory, keys, now = Memory(settings), keys_of(settings), int(time.time())
    claims = [memory.claim(keys.get(part.name, part.name), news_of(part), now) for part in parts]
    new = [part for part, claim in zip(parts, claims, strict=True) if claim]
    if not new:
        return ""
    title, body = message_of(new, sender)
    sent = [Delivery(f"notify[{n}]", partial(_send, address, title, body)) for n, address in enumerate(settings.notify)]
    troubles = [f"{told.setting}: {trouble}" for told in sent if (trouble := told.trouble(until))]
    for claim in filter(None, claims):
        claim.take_back() if len(troubles) == len(sent) else claim.keep()
    return "; ".join(troubles)


def _send(address: str, title: str, body: str) -> str:
    """Send one message; return what went wrong. Apprise keeps no files for it, and its log is silent."""
    import apprise  # noqa: PLC0415  heavy, and optional

    warnings.filterwarnings("ignore", "Unverified HTTPS request")  # urllib3's, for an address with verify=no
    asset = apprise.AppriseAsset(app_id="MISP2Sentinel", storage_mode=apprise.PersistentStoreMode.MEMORY)
    receiver = apprise.Apprise.instantiate(address, asset=asset)
    if receiver is None:
        return _NO_ADDRESS
    kind = apprise.NotifyType.SUCCESS if "well again" in title else apprise.NotifyType.FAILURE
    taken = receiver.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return "" if taken else _NOT_DELIVERED
