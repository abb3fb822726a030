"""``check``: try, read-only, everything that a run needs, and say what to do where it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from helpers import log, sync
from helpers.errors import MispError, MispRefused, RunActive, SettingsError, SyncError
from helpers.misp import MispReader
from helpers.misp_stories import MispWriter
from helpers.request_manager import RequestManager
from helpers.settings import Settings
from helpers.share import who

Step = Callable[[], str]

_MORE_THAN_READING = ("perm_add", "perm_modify", "perm_publish", "perm_admin")


@dataclass
class Preflight:
    """Runs the steps in order and prints a line for each; one side's failure does not stop the other."""

    settings: Settings
    say: Callable[[str], None]
    worst: int = 0

    def run(self) -> int:
        """Return the exit code: 0, or that of the first part that failed (settings, MISP, Microsoft)."""
        self._line("settings", "all settings are valid", "")
        self._step("state", lambda: _state(self.settings), {"state_dir"})
        reader = MispReader(self.settings)
        manager = RequestManager(self.settings, lambda _outcomes: None, workers=0)
        in_misp = {"misp_domain", "misp_key"}
        at_microsoft = {"ms_auth.tenant", "ms_auth.client_id", "ms_auth.client_secret"}
        if self._step("MISP login", lambda: _login(reader), in_misp):
            self._step("MISP role", lambda: _role(reader), {"misp_key"})
            self._step("MISP filters", lambda: self._filters(reader), {"misp_event_filters"})
        if self.settings.misp_stories.configured:
            of_stories = {"misp_stories.url", "misp_stories.api_key", "misp_stories.organisation_id"}
            self._step("MISP stories", lambda: _stories(self.settings), of_stories)
        if self._step("Microsoft token", lambda: _token(manager, self.settings), at_microsoft):
            self._step("Microsoft upload", lambda: _upload(manager, self.settings), {"ms_auth.workspace_id"})
        return self.worst

    def _step(self, name: str, step: Step, settings: set[str]) -> bool:
        origins = "; ".join(f"{each} from {self.settings.source_of(each)}" for each in sorted(settings))
        try:
            self._line(name, step(), origins)
        except SyncError as error:
            self.worst = self.worst or error.exit_code
            self._line(name, str(error), origins, failed=True)
            return False
        return True

    def _line(self, name: str, words: str, origins: str, *, failed: bool = False) -> None:
        self.say(f"{'FAIL' if failed else 'ok  '} {name}: {words}{f' [{origins}]' if origins else ''}")

    def _filters(self, reader: MispReader) -> str:
        found = reader.first_listed(self.settings.misp_event_filters)
        if found is None:
            raise SettingsError(
                [
                    "the filters find no event: try fewer of them, a longer publish_timestamp, and look whether MISP "
                    "has published events at all; MISP ignores a filter whose name it does not know."
                ]
            )
        return f"the filters find events, for example {found.uuid} with {found.attributes} attributes"


def _login(reader: MispReader) -> str:
    address = reader.settings.misp_domain
    try:
        return f"logged in at {address}, MISP {reader.version()}"
    except MispError as error:
        raise MispError(f"{address}: {error}") from error


def _role(reader: MispReader) -> str:
    role = reader.role()
    if not role.get("perm_auth", True):
        raise MispError(f"the role {role.get('name')} may not use the API: give the user a role with perm_auth.")
    more = [name for name in _MORE_THAN_READING if role.get(name)]
    if more:
        return f"the role is {role.get('name')}; a read-only key is enough, this one also has {', '.join(more)}"
    return f"the role is {role.get('name')}, read-only, which is enough"


# What a role needs so that stories can be shared, and what does not work without.
_FOR_STORIES = {
    "perm_add": "no event can be added",
    "perm_modify": "no event can be updated",
    "perm_publish": "events are not published",
    "perm_tagger": "tags are not attached",
    "perm_tag_editor": "tags that MISP does not know are not made",
}


def _stories(settings: Settings) -> str:
    """Say whether stories can be shared, and which permissions the role lacks."""
    writer = MispWriter(settings)
    me = who(writer, settings)
    lacking = [f"{name} ({words})" for name, words in _FOR_STORIES.items() if not me.may(name)]
    if not me.may("perm_add") or not me.may("perm_modify"):
        raise MispRefused(f"the role {me.role.get('name')} lacks {', '.join(lacking)}: give the user another role.")
    group = settings.misp_stories.sharing_group_id
    if group and str(group) not in writer.sharing_groups():
        origin = settings.source_of("misp_stories.sharing_group_id")
        raise SettingsError(
            [f"misp_stories.sharing_group_id ({origin}) is {group}, which the key's user does not see."]
        )
    lacks = f"; the role {me.role.get('name')} lacks {', '.join(lacking)}" if lacking else ""
    return f"the key is of organisation {me.organisation_id} ({me.organisation}), ours{lacks}"


def _token(manager: RequestManager, settings: Settings) -> str:
    manager.get_token()
    return f"{settings.ms_endpoints.authority} gives a token for {settings.ms_auth.scope} (client secret)"


def _upload(manager: RequestManager, settings: Settings) -> str:
    manager.probe()
    return f"the app may write to workspace {settings.ms_auth.workspace_id} (tried with an empty upload)"


def _state(settings: Settings) -> str:
    """Open what a run opens: the log, the lock, the ledger."""
    sync.make_state_dir(settings)
    log.try_out(settings.log_path)
    try:
        with sync.lock(settings), sync.opened(settings.model_copy(update={"dry_run": True})):
            return f"log, lock and ledger in {settings.state_path} can be used by this user"
    except RunActive:
        return f"a run is active in {settings.state_path} right now"
