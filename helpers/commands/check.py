"""``check``: try, read-only, everything that a run needs, and say what to do where it fails."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from constants import VERSION
from helpers import log
from helpers.commands.share import key_owner
from helpers.errors import MispError, MispMoved, MispRefused, RunActive, SettingsError, SyncError
from helpers.microsoft import Api, BatchSender, Clock, MicrosoftClient, RateLimiters, api_for, key_vault
from helpers.misp import NOTHING_FOUND, MispReader, decaying_models
from helpers.settings import Settings, credentials, cross_checks, filter_names, written
from helpers.stories import MispWriter
from helpers.sync import make_state_dir, opened

Step = Callable[[], str]

_MORE_THAN_READING = ("perm_add", "perm_modify", "perm_publish", "perm_admin")


def main(settings: Settings, arguments: Namespace, say: Callable[[str], None]) -> int:
    """Try everything that a run needs and return the exit code."""
    return Preflight(settings, say).run(arguments.workspace)


@dataclass
class Preflight:
    """Runs the steps in order and prints a line for each; one side's failure does not stop the other."""

    settings: Settings
    say: Callable[[str], None]
    worst: int = 0

    def run(self, workspace: str = "") -> int:
        """Return the exit code: 0, or that of the first part that failed (settings, MISP, Microsoft).

        ``workspace`` keeps to one of several destinations. Raises SettingsError when there is none of that name.
        """
        self.settings.destinations(workspace)
        self._tell("ok  ", "settings", _validity(self.settings.warnings), "")
        self._tell("ok  ", "version", f"MISP2Sentinel {VERSION}", "")
        for name, warning in cross_checks.distrusted_places(self.settings):
            self._tell("warn", name, warning, "")
        state = {"state_dir", "state_url"} if self.settings.state_url else {"state_dir"}
        self._step("state", lambda: _state(self.settings), state)
        if self.settings.vault_secrets and not self._step("Key Vault", self._vault, {"key_vault_name"}):
            return self.worst
        reader = MispReader(self.settings)
        if self._step("MISP login", lambda: _login(reader), {"misp_domain", "misp_key"}):
            self._step("MISP role", lambda: _role(reader), {"misp_key"})
            self._step("MISP filters", lambda: self._filters(reader), {"misp_event_filters"})
            self._tags(reader)
            if decaying_models.any_in_filters(self.settings):
                self._step("MISP decaying models", lambda: self._models(reader, workspace), {"filters"})
        if self.settings.misp_stories.configured:
            of_stories = {"misp_stories.url", "misp_stories.api_key", "misp_stories.organisation_id"}
            self._step("MISP stories", lambda: _stories(self.settings), of_stories)
        for destination in self.settings.destinations(workspace):
            self._destination(destination)
        return self.worst

    def _destination(self, settings: Settings) -> None:
        """Try the token and the upload of one destination."""
        one_of_several = {"ms_tenants"} if settings.name else set()
        to_sign_in = one_of_several or credentials.settings_of(settings.ms_auth)
        api, client = api_for(settings), MicrosoftClient(settings, Clock())
        name = f" {settings.name}" if settings.name else ""
        if self._step(f"Microsoft token{name}", lambda: _token(client, settings), to_sign_in):
            sender = BatchSender(api, client, RateLimiters(Clock()))
            to_upload = one_of_several or {api.address_setting}
            self._step(f"Microsoft upload{name}", lambda: _upload(sender, api), to_upload)

    def _step(self, name: str, step: Step, settings: set[str]) -> bool:
        origins = "; ".join(f"{written(key)} from {self.settings.source_of(key)}" for key in sorted(settings))
        try:
            self._tell("ok  ", name, step(), origins)
        except SyncError as error:
            self.worst = self.worst or error.exit_code
            problems = error.problems if isinstance(error, SettingsError) else (str(error),)
            for problem in problems:
                self._tell("FAIL", name, " ".join(problem.splitlines()), origins)
            return False
        return True

    def _tell(self, state: str, name: str, words: str, origins: str) -> None:
        self.say(f"{state} {name}: {words}{f' [{origins}]' if origins else ''}")

    def _vault(self) -> str:
        """Read the secrets that the other steps need."""
        names = " and ".join(self.settings.vault_secrets.values())
        self.settings = key_vault.with_secrets(self.settings)
        return f"{key_vault.address(self.settings)} gives {names}"

    def _filters(self, reader: MispReader) -> str:
        """A name that MISP does not know is no filter: it would send what it was to leave out."""
        odd = filter_names.odd_filters(self.settings.misp_event_filters, self.settings.source_of("misp_event_filters"))
        if odd:
            raise SettingsError(odd)
        event = reader.first_listed(self.settings.misp_event_filters)
        if event is None:
            raise SettingsError([NOTHING_FOUND])
        return f"the filters find events, for example {event.uuid} with {event.attributes} attributes"

    def _tags(self, reader: MispReader) -> None:
        """Warn of tags in the filters that MISP does not have; they may come with the next event."""
        origins = f"misp_event_filters from {self.settings.source_of('misp_event_filters')}"
        try:
            warnings = _absent_tags(reader, filter_names.tags_in(self.settings.misp_event_filters))
        except MispError as error:
            warnings = [f"MISP does not say which tags it has: {error}"]
        for warning in warnings:
            self._tell("warn", "MISP tags", warning, origins)

    def _models(self, reader: MispReader, workspace: str) -> str:
        """A decaying model that is not there scores nothing, and what is not scored is sent."""
        models = reader.models()
        destinations = self.settings.destinations(workspace)
        absent = [problem for place in destinations for problem in decaying_models.absent(place, models)]
        if absent:
            raise SettingsError(dict.fromkeys(absent))  # destinations may share their filters
        return "MISP has the decaying models that filters name"


def _validity(warnings: Sequence[str]) -> str:
    """Say that no setting stops a run, and whether stderr has something to say of them nevertheless."""
    if not warnings:
        return "all settings are valid"
    return f"no setting stops a run; stderr has {len(warnings)} warning{'s' if warnings[1:] else ''} about them"


def _absent_tags(reader: MispReader, tags: list[str]) -> list[str]:
    """Ask for all plain names at once, and for each with a wildcard for one event: there may be thousands of tags."""
    plain = [tag for tag in tags if not filter_names.has_wildcard(tag)]
    known = reader.tags(plain) if plain else []
    known += [tag for tag in tags if tag not in plain and reader.first_listed({"tags": [tag]})]
    return [words for tag in tags if (words := filter_names.absent_tag(tag, known))]


def _login(reader: MispReader) -> str:
    address = reader.settings.misp_domain
    try:
        return f"logged in at {address}, MISP {reader.version()}"
    except MispMoved:  # it names the address
        raise
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
    "perm_modify_org": "events that somebody else of the organisation added cannot be updated",
    "perm_publish": "events are not published",
    "perm_tagger": "tags are not attached",
    "perm_tag_editor": "tags that MISP does not know are not made",
}


def _stories(settings: Settings) -> str:
    """Say whether stories can be shared, and which permissions the role lacks."""
    writer = MispWriter(settings)
    owner = key_owner(writer, settings)
    lacking = [f"{name} ({words})" for name, words in _FOR_STORIES.items() if not owner.may(name)]
    if not owner.may("perm_add") or not owner.may("perm_modify"):
        raise MispRefused(f"the role {owner.role.get('name')} lacks {', '.join(lacking)}: give the user another role.")
    group = settings.misp_stories.sharing_group_id
    if group and str(group) not in writer.sharing_groups():
        origin = settings.source_of("misp_stories.sharing_group_id")
        raise SettingsError(
            [f"misp_stories.sharing_group_id ({origin}) is {group}, which the key's user does not see."]
        )
    lacks = f"; the role {owner.role.get('name')} lacks {', '.join(lacking)}" if lacking else ""
    return f"the key is of organisation {owner.organisation_id} ({owner.organisation}), ours{lacks}"


def _token(client: MicrosoftClient, settings: Settings) -> str:
    client.get_token()
    who, how = credentials.issuer(settings), credentials.describe(settings.ms_auth)
    return f"{who} gives a token for {settings.ms_auth.scope} ({how})"


def _upload(sender: BatchSender, api: Api) -> str:
    sender.probe()
    return api.probed


def _state(settings: Settings) -> str:
    """Open what a run opens: the log, the lock, the ledger."""
    make_state_dir(settings)
    log.try_out(settings.log_path)
    try:
        with (
            opened(settings.model_copy(update={"dry_run": True})) as ledger,
            ledger.hold_lock(settings.state_path),
        ):
            files = f"log, lock and ledger in {settings.state_path}"
            if not settings.keeps_ledger:
                files = f"log and lock in {settings.state_path}"
            elif settings.state_url:
                files = f"the log in {settings.state_path} and the ledger that state_url names"
            return f"{files} can be used by this user"
    except RunActive:
        return f"a run is active in {settings.state_path} right now"
